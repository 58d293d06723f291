"""The legal grounds of an erasure in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cleanroom.errors import Bilingual
from cleanroom.identifiers import ErasureGround

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUNDS: Final[Mapping[ErasureGround, Bilingual]] = {
    ErasureGround.QC_28: Bilingual(
        "P-39.1, art. 28 : collecte que la loi n'autorise pas",
        "P-39.1 s. 28: collection that the law does not authorise",
    ),
    ErasureGround.QC_CCQ_40: Bilingual(
        "Code civil du Québec, art. 40 : renseignement périmé ou non justifié par l'objet du dossier",
        "Civil Code of Québec, art. 40: out of date, or not justified by the purpose of the file",
    ),
    ErasureGround.QC_8: Bilingual("P-39.1, art. 8 : consentement retiré", "P-39.1 s. 8: consent withdrawn"),
    ErasureGround.QC_23: Bilingual("P-39.1, art. 23 : finalité accomplie", "P-39.1 s. 23: purpose achieved"),
    ErasureGround.GDPR_17_1_A: Bilingual(
        "RGPD, art. 17(1)a : données plus nécessaires", "RGPD art. 17(1)(a): data no longer necessary"
    ),
    ErasureGround.GDPR_17_1_B: Bilingual(
        "RGPD, art. 17(1)b : consentement retiré", "RGPD art. 17(1)(b): consent withdrawn"
    ),
    ErasureGround.GDPR_17_1_C: Bilingual("RGPD, art. 17(1)c : opposition", "RGPD art. 17(1)(c): objection"),
    ErasureGround.GDPR_17_1_D: Bilingual(
        "RGPD, art. 17(1)d : traitement illicite", "RGPD art. 17(1)(d): unlawful processing"
    ),
    ErasureGround.GDPR_17_1_E: Bilingual(
        "RGPD, art. 17(1)e : obligation légale", "RGPD art. 17(1)(e): legal obligation"
    ),
    ErasureGround.GDPR_17_1_F: Bilingual(
        "RGPD, art. 17(1)f : enfant, services de la société de l'information",
        "RGPD art. 17(1)(f): child, information society services",
    ),
}

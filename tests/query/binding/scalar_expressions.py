"""Scalar expressions, one a line, whose meaning is DuckDB's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

from cleanroom.query.terms.evaluate import Values

if TYPE_CHECKING:
    Rows = tuple[duckdb.DuckDBPyConnection, dict[int, Values]]

EXPRESSIONS = """
amount
(tickets)
"region"
amount + tickets * 3
amount - tickets - score
-amount * 2
- (amount + 1.5)
+tickets
tickets * -3
1_000 + tickets
.5 + tickets
amount / 4
amount / 4 * 4
score // 7
-score // 7
score % 7 * 2
MOD(score, 7)
MOD(score + 1, 7)
amount / NULLIF(score, 0)
1 + 2 * 3 - tickets
FLOOR(amount / 50) * 50
CEIL(amount)
CEILING(amount)
ROUND(amount)
ROUND(amount, 1)
ROUND(amount, -1)
ABS(score - 50)
SIGN(amount)
LEAST(tickets, 10)
GREATEST(score, 0, tickets)
LEAST(bought, seen)
GREATEST(bought, DATE '2021-06-01')
COALESCE(score, 0)
COALESCE(score, tickets, -1)
IFNULL(genre, 'aucun')
NULLIF(genre, 'opera')
NULLIF(score, 7) + 1
CASE WHEN tickets = 1 THEN 'seul' WHEN tickets = 2 THEN 'duo' ELSE 'groupe' END
CASE genre WHEN 'opera' THEN 'O' ELSE 'D' END
CASE WHEN score > 0 THEN amount END
CASE WHEN score IS NULL THEN 0 WHEN score > 0 THEN 1 ELSE -1 END
CASE tickets WHEN 1 THEN 10 WHEN NULL THEN 20 END
IF(tickets > 2, 'a', 'b')
IF(score > 0, amount, tickets)
tickets = 3
tickets == 3
tickets <> 3
tickets != 3
amount >= 1.005
amount < tickets
3 < tickets
score BETWEEN -5 AND 5
score NOT BETWEEN -5 AND tickets
bought BETWEEN DATE '2021-01-01' AND DATE '2021-12-31'
bought BETWEEN seen - INTERVAL 400 DAY AND seen
bought >= '2021-01-01' AND bought < '2022-01-01'
tickets IN (1, 2, 3)
tickets IN (1, NULL)
tickets NOT IN (1, NULL)
tickets NOT IN (1, score)
genre IN ('opera', 'inconnu')
genre NOT IN ('opera')
'opera' IN (genre)
bought IN (DATE '2020-02-29', DATE '2021-01-31')
channel IN ('web', 'é')
genre = 'opera' OR tickets > 6 AND NOT score < 0
NOT (genre = 'opera' OR genre = 'danse')
NOT genre = 'opera'
tickets > 2 AND tickets < 9 AND score > 0 AND amount > 0
score IS NULL
score IS NOT NULL
score ISNULL
score NOTNULL
(score > 0) IS TRUE
(score > 0) IS NOT TRUE
(score > 0) IS FALSE
(score > 0) IS NOT FALSE
(score > 0) IS UNKNOWN
score IS DISTINCT FROM tickets
score IS NOT DISTINCT FROM 7
genre IS DISTINCT FROM 'opera'
genre IS NOT DISTINCT FROM NULL
channel IS DISTINCT FROM 'web'
TRUE AND score > 0
score > 0 OR NULL
NULL = score
genre < 'opera'
genre >= 'Danse'
channel > 'b'
genre LIKE 'd%'
genre NOT LIKE 'd%'
genre ILIKE 'D%'
genre NOT ILIKE 'D%'
genre ~~ 'd%'
genre !~~ 'd%'
genre ~~* 'D%'
region LIKE '%a%b\\_c'
region LIKE '%a%'
region LIKE '_té'
region LIKE 'İle%'
region ILIKE 'i%'
region ILIKE '%SSE'
region ILIKE 'stra_e'
region LIKE ''
region LIKE '%'
region LIKE '%%'
region LIKE 'zzz'
region LIKE NULL
channel LIKE '%é'
channel LIKE 'a%b_c'
channel ILIKE 'ét_'
channel ILIKE '%Σ%'
channel LIKE '__x'
starts_with(region, 'a%')
starts_with(channel, 'a%')
starts_with(channel, '')
channel ^@ 'we'
region ^@ 'L'
prefix(channel, 'a%b')
suffix(channel, 'x')
suffix(region, 'st')
ends_with(channel, 'eb')
ends_with(region, 'nord')
contains(region, '_')
contains(channel, 'a')
contains(region, '')
LOWER(region)
lcase(region)
UPPER(region)
ucase(channel)
LOWER(channel)
UPPER(genre) = 'DANSE'
LOWER(channel) = 'tel'
TRIM(region)
TRIM(BOTH FROM region)
TRIM(channel)
LTRIM(region)
RTRIM(region)
substring(region, 2, 3)
substring(region FROM 2 FOR 3)
substring(region FROM 3)
substring(channel FOR 2)
substr(channel, 2)
substring(channel, 1, 2)
substring(channel, 50, 2)
substring(region, 1, 0)
substring(region, 1 + 1, 2)
left(region, 3)
left(channel, 2)
left(region, -2)
right(region, 2)
right(region, -1)
right(region, 0)
length(region)
length(channel)
len(genre)
char_length(channel)
character_length(region) + 1
replace(region, 'a', 'XY')
replace(region, '', 'x')
replace(genre, 'anse', '')
region || '-' || genre
'x' || genre
genre || NULL
concat(genre, '/', region)
concat(genre)
concat(genre, NULL, 'x')
LOWER(TRIM(region)) || UPPER(genre)
CASE WHEN LOWER(genre) = 'danse' THEN 'D' ELSE genre END
year(bought)
YEAR(late)
month(bought)
day(bought)
dayofmonth(early)
quarter(bought)
week(bought)
weekofyear(late)
isoyear(bought)
isoyear(late)
dayofweek(bought)
weekday(bought)
isodow(bought)
dayofyear(bought)
extract(year FROM bought)
extract('month' FROM bought)
extract(dow FROM bought)
extract(isodow FROM early)
extract(doy FROM bought)
extract(week FROM bought)
extract(isoyear FROM early)
extract(quarter FROM bought)
date_part('year', bought)
date_part('weekday', bought)
datepart('quarter', bought)
date_trunc('month', bought)
date_trunc('MONTH', bought)
date_trunc('quarter', bought)
date_trunc('week', bought)
date_trunc('week', early)
date_trunc('year', bought)
date_trunc('day', bought)
datetrunc('week', late)
date_trunc('month', bought)::DATE
date_trunc('month', CAST(bought AS DATE))
date_trunc('month', DATE '2021-05-06')
date_trunc('month', bought) = date_trunc('month', seen)
bought + 3
3 + bought
bought - 3
bought + tickets
bought - score
bought + tickets * 2
bought + (1 + 2)
bought - seen
DATE '2024-01-01' - bought
bought + INTERVAL 30 DAY
bought + INTERVAL '30' DAY
bought + INTERVAL '30 days'
bought + INTERVAL '-3 days'
bought + INTERVAL (30) DAY
bought + INTERVAL (-3) DAY
bought - INTERVAL (-3) DAY
bought + INTERVAL 3 MONTHS
bought - INTERVAL 1 MONTH
bought + INTERVAL 1 QUARTER
bought - INTERVAL 1 YEAR
bought + INTERVAL 2 WEEKS
bought + INTERVAL 1 YEAR - INTERVAL 1 DAY
INTERVAL 1 DAY + bought
bought + (INTERVAL 3 DAY)
early + INTERVAL 8000 YEARS
late - INTERVAL 9998 YEARS
bought + to_days(30)
bought - to_weeks(2)
bought + to_months(1)
bought + to_quarters(2)
to_years(1) + bought
date_add(bought, INTERVAL 1 MONTH)
date_add(bought, 3)
seen > bought AND seen <= bought + INTERVAL 30 DAY
date_diff('day', bought, seen)
datediff('days', bought, seen)
date_diff('week', bought, seen)
date_diff('week', DATE '2019-01-01', seen)
date_diff('week', seen, DATE '2019-01-01')
datediff('month', bought, seen)
date_diff('quarter', bought, seen)
date_diff('year', bought, seen)
date_diff('DAY', bought, DATE '2021-01-31')
date_diff('day', early, late)
last_day(bought)
last_day(late)
strftime(bought, '%Y')
strftime(bought, '%m')
strftime(bought, '%Y-%m')
strftime(bought, '%Y-%m-%d')
strftime(bought, '%d/%m/%Y')
strftime(bought, '%G-W%V')
strftime(early, '%G-W%V')
strftime(late, '%G-W%V')
strftime(late, '%Y-%j')
strftime(bought, '%u')
strftime(bought, '%w')
strftime(bought, '%j')
strftime(bought, '%d')
strftime(bought, '%G')
strftime(bought, '%V')
strftime(bought, '%B')
strftime(bought, '%b')
strftime(bought, '%A')
strftime(bought, '%a')
strftime(bought, '%Y%m')
strftime(bought, '%Y%m%d')
strftime(early, '%Y-%m-%d')
strftime(bought, '%m/%Y')
strftime(bought, '%Y/%m')
strftime(bought + INTERVAL 1 MONTH, '%Y-%m')
dayname(bought)
monthname(bought)
bought = '2020-02-29'::DATE
CAST('2021-01-31' AS DATE) < bought
CAST(tickets AS BIGINT)
tickets::DECIMAL(10, 2)
CAST(amount AS INTEGER)
CAST(genre AS VARCHAR)
tickets::VARCHAR
CAST(score > 0 AS INTEGER)
year(bought) * 100 + month(bought)
CASE WHEN month(bought) BETWEEN 6 AND 8 THEN 'été' ELSE 'autre' END
(bought - seen) BETWEEN 0 AND 30
-score % 7
- score * 2 + tickets
2 * -tickets
score - -tickets
NOT score > 0 OR tickets = 1
(score > 0) = TRUE
1 < tickets AND tickets < 5
COALESCE(1 IN (2, NULL), tickets > 2)
COALESCE(1 IN (2, NULL), 2 IN (3, NULL), tickets > 2)
COALESCE(1 IN (2, NULL), TRUE)
COALESCE(1 IN (2, NULL), 2 IN (3, NULL))
NOT ((1 IN (2, NULL)) = TRUE)
(1 IN (2, NULL)) = (2 IN (3, NULL))
(1 IN (2, NULL)) = (tickets > 2)
(1 IN (2, NULL)) IS DISTINCT FROM (2 IN (3, NULL))
(1 IN (2, NULL)) IS DISTINCT FROM TRUE
(1 IN (2, NULL)) IS DISTINCT FROM (tickets > 2)
(1 IN (2, NULL)) IS NOT DISTINCT FROM (score > 2)
CASE WHEN 1 IN (2, NULL) THEN 1 ELSE 2 END
NULLIF(1 IN (2, NULL), tickets > 2)
(tickets > 2) IN (1 IN (2, NULL), score > 1)
"""
LINES = EXPRESSIONS.strip().splitlines()

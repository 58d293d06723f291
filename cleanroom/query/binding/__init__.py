"""From sqlglot's tree to a typed plan: names, kinds of relations, and types in one walk (docs/adr/0009).

Every relation found is personal or public. Personal ones are built from the algebra alone, so they are personal by
construction; whatever the algebra cannot say is refused.
"""

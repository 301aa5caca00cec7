"""Bytes to model and back. Here stands what every record needs: Avro, schemas, headers, names of topics and groups.

`events`: what producers write. `devices`: rows and owners. `sending`: from planner to sender. `answers`: receipts and
what was planned. `waiting`: the keeper's rows. `sealing`: keys of tokens. `control`: what every process is told.
`migrate`: device lists of other services.
"""

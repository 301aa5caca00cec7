"""Pages for people: what is going on, what became of a campaign, why a push did not arrive, and the switches.

Every page is made on the server from what the HTTP API answers; the module of JavaScript only keeps it up to date.
"""

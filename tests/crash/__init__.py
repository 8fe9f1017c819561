"""A real server, killed in every way there is, and the count of what it lost.

`asks` draws what clients ask, `ledger` keeps what they were told, `clients` asks it over gRPC,
`life` starts and ends the server, `kills` has the ways to end it, `history` reads its journal,
`judge` compares what was told with what is remembered, `campaign` does all of it many times.
"""

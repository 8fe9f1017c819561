"""Clients in other languages, proxies and tools that must be able to talk to a real server.

`programs` finds and builds them. `client` is what all clients can do, `python_clients` has those of
grpcio, `other_clients` those on Node.js and in C++ (`node/`, `cpp/`, asked through `driver.proto`),
`languages` the table of them; `scenarios` is what they do, with the `stock` for it. `proxies` runs
nginx and haproxy, `http2` sends bytes of one's own making.
"""

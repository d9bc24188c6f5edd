"""How it runs: processes, command line, settings, sockets, hub, log, bus. Imports all; nobody imports it."""

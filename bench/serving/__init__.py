"""Phones by the thousand on one host, beside a floor, a peer in C and an endpoint that lists."""

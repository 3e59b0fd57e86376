"""What measurements stand on: accounts and ledgers of any size, clients by the thousand, a relay that counts."""

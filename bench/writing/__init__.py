"""The write path: events a second and their cost, and what a delivery of rubbish costs."""

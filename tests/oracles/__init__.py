"""Independent answers that tests compare the system with: closed forms, hand-written densities."""

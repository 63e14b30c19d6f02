"""The plan: a bound definition as frozen data, and what reads or writes it as such."""

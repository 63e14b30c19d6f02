"""Data directories of earlier versions, and what the present one makes of them."""

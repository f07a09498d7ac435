"""Data-set rows become ``Instance`` values here; the answer key stays outside."""

"""Readers of what others write: one file per form; ``forms.IMPORTERS_BY_FORM`` names them."""

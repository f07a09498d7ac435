"""Readers of what others write: one file a form, ``forms.FORMS`` names them."""

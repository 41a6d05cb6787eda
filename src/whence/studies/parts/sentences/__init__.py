"""Sentences for studies: from templates and tables, and recurrent networks that read them."""

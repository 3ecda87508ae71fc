"""What a person sees at the end: tables, figures and the HTML page (plain data in, no torch)."""

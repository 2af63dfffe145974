"""For papers: a methods paragraph and BibTeX, and the numbers of the study."""

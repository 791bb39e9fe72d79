"""The kit that every page is made of: sections, numbers in words, Markdown, HTML, figures."""

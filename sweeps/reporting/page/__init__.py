"""The two writers of a report: blocks in, report.html or report.md out."""

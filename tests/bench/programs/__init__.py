"""The programs that jobdash is measured against."""

"""The results of batches: downloading, joining, keeping, reading and merging them."""

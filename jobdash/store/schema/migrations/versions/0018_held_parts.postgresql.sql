CREATE INDEX part_held ON part (owner) WHERE owner IS NOT NULL;

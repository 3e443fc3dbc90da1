ALTER TABLE review ADD COLUMN marks VARCHAR;

ALTER TABLE account ADD COLUMN failing_since INTEGER;

ALTER TABLE account ADD COLUMN reviewed_error VARCHAR;

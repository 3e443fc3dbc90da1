ALTER TABLE job ADD COLUMN function TEXT COLLATE "C";

ALTER TABLE item ADD COLUMN given TEXT COLLATE "C";

CREATE TABLE part (
	job_id BIGINT NOT NULL,
	number BIGINT NOT NULL,
	first BIGINT NOT NULL,
	behind BIGINT NOT NULL,
	fence BIGINT DEFAULT 0 NOT NULL,
	owner TEXT COLLATE "C",
	lease_until BIGINT,
	done_at BIGINT,
	PRIMARY KEY (job_id, number),
	FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);

CREATE INDEX job_function ON job (function, tab, id) WHERE function IS NOT NULL;

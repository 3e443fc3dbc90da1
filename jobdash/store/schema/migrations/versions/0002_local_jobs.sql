ALTER TABLE job ADD COLUMN done_before INTEGER;

CREATE TABLE attempt (
	job_id INTEGER NOT NULL,
	fence INTEGER NOT NULL,
	number INTEGER NOT NULL,
	owner VARCHAR NOT NULL,
	actor VARCHAR NOT NULL,
	keyed INTEGER NOT NULL,
	unit VARCHAR DEFAULT 'items' NOT NULL,
	argv VARCHAR,
	cwd VARCHAR,
	log_file VARCHAR,
	started_at INTEGER NOT NULL,
	ended_at INTEGER,
	ended VARCHAR,
	PRIMARY KEY (job_id, fence),
	FOREIGN KEY(job_id) REFERENCES job (id)
)
 WITHOUT ROWID;

CREATE TABLE item (
	job_id INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	"key" VARCHAR NOT NULL,
	outcome VARCHAR NOT NULL,
	attempt INTEGER NOT NULL,
	detail VARCHAR,
	error_type VARCHAR,
	error VARCHAR,
	at INTEGER NOT NULL,
	PRIMARY KEY (job_id, seq),
	CONSTRAINT outcome_known CHECK (outcome IN ('waiting', 'ok', 'error', 'skipped')),
	FOREIGN KEY(job_id) REFERENCES job (id)
)
 WITHOUT ROWID;

CREATE INDEX item_outcome ON item (job_id, outcome, seq);

CREATE UNIQUE INDEX item_key ON item (job_id, "key");

ALTER TABLE meta ADD COLUMN notified_event INTEGER;

CREATE INDEX job_results_expire ON job (results_expire_at) WHERE results_expire_at IS NOT NULL;

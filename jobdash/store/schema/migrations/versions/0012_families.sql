ALTER TABLE job ADD COLUMN family_id INTEGER;

ALTER TABLE job ADD COLUMN folded INTEGER DEFAULT 0 NOT NULL;

ALTER TABLE job ADD COLUMN listed INTEGER NOT NULL GENERATED ALWAYS AS (CASE WHEN removed_at IS NOT NULL THEN 0 WHEN folded THEN 2 ELSE 1 END) VIRTUAL;

ALTER TABLE meta ADD COLUMN folded INTEGER DEFAULT 0 NOT NULL;

DROP INDEX job_shown_account;

DROP INDEX job_shown_cost;

DROP INDEX job_shown_created;

DROP INDEX job_shown_failed;

DROP INDEX job_shown_progress;

DROP INDEX job_shown_total;

DROP INDEX job_shown_updated;

DROP TRIGGER job_changed;

DROP TRIGGER job_deleted;

CREATE INDEX job_family_id ON job (family_id, listed) WHERE family_id IS NOT NULL;

-- A family is a batch with all that was sent again of it, or all parts of a file.
WITH RECURSIVE member (id, root) AS (
  SELECT id, coalesce((SELECT first.id FROM job AS first WHERE first.public_id = job.family), id) FROM job
  WHERE parent_id IS NULL AND (family IS NOT NULL OR id IN (SELECT parent_id FROM job))
  UNION
  SELECT job.id, member.root FROM job JOIN member ON job.parent_id = member.id
)
UPDATE job SET family_id = member.root FROM member WHERE member.id = job.id;

UPDATE job SET folded = 1 WHERE family_id IS NOT NULL AND removed_at IS NULL AND id >
  (SELECT min(head.id) FROM job AS head WHERE head.family_id = job.family_id AND head.removed_at IS NULL);

CREATE INDEX job_listed_account ON job (listed, account);

CREATE INDEX job_listed_cost ON job (listed, cost_key);

CREATE INDEX job_listed_created ON job (listed, created_at);

CREATE INDEX job_listed_failed ON job (listed, failed_key);

CREATE INDEX job_listed_name ON job (listed, name_key);

CREATE INDEX job_listed_progress ON job (listed, progress_key);

CREATE INDEX job_listed_total ON job (listed, total_key);

CREATE INDEX job_listed_updated ON job (listed, updated_at);

UPDATE meta SET folded = (SELECT count(*) FROM job WHERE listed = 2);

CREATE TRIGGER job_changed AFTER UPDATE OF provider, account, origin, remote_id, submit_key, name, remote_status, raw_status, cancel_requested_at, cancel_reason, cancel_doubt, verdict, verdict_at, verdict_reason, model, endpoint, total, succeeded, failed, cancelled, expired, error, errors, usage, files, remote_metadata, created_at, started_at, finished_at, expires_at, gone_at, removed_at, removing, left_behind, parent_id, superseded_by, attempt, fence, owner, last_owner, lease_until, fetched_at, results_folder, results_ok, results_error, results_cut_off, results_missing, input_tokens, output_tokens, results_expire_at, cached_tokens, cost, cost_is_upper_bound, family, family_id, folded ON job
WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.origin IS NOT new.origin OR old.remote_id IS NOT new.remote_id OR old.submit_key IS NOT new.submit_key OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fence IS NOT new.fence OR old.owner IS NOT new.owner OR old.last_owner IS NOT new.last_owner OR old.lease_until IS NOT new.lease_until OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at OR old.cached_tokens IS NOT new.cached_tokens OR old.cost IS NOT new.cost OR old.cost_is_upper_bound IS NOT new.cost_is_upper_bound OR old.family IS NOT new.family OR old.family_id IS NOT new.family_id OR old.folded IS NOT new.folded BEGIN
  UPDATE meta SET revision = revision + 1;
  UPDATE job SET revision = (SELECT revision FROM meta),
    updated_at = CASE WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.remote_id IS NOT new.remote_id OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at OR old.cached_tokens IS NOT new.cached_tokens OR old.family IS NOT new.family
      THEN CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) ELSE updated_at END
  WHERE id = new.id;
END;

CREATE TRIGGER job_deleted AFTER DELETE ON job BEGIN
  UPDATE meta SET revision = revision + 1;
  UPDATE tally SET n = n - 1 WHERE account = old.account AND tab = old.tab;
  UPDATE meta SET folded = folded - 1 WHERE old.listed = 2;
  UPDATE job SET folded = 0 WHERE old.listed = 1 AND id = (SELECT min(id) FROM job WHERE family_id = old.family_id AND listed = 2);
END;

CREATE TRIGGER job_joined AFTER INSERT ON job
WHEN new.parent_id IS NOT NULL OR new.family <> new.public_id BEGIN
  UPDATE job SET family_id = id WHERE id = coalesce(new.parent_id, (SELECT id FROM job WHERE public_id = new.family)) AND family_id IS NULL;
  UPDATE job SET family_id = (SELECT family_id FROM job WHERE id = coalesce(new.parent_id, (SELECT id FROM job WHERE public_id = new.family))) WHERE id = new.id;
  UPDATE job SET folded = 1 WHERE id = new.id AND id > (SELECT min(id) FROM job AS head WHERE head.family_id = job.family_id AND head.listed = 1);
END;

CREATE TRIGGER job_left AFTER UPDATE OF removed_at ON job
WHEN old.listed = 1 AND new.listed = 0 AND new.family_id IS NOT NULL BEGIN
  UPDATE job SET folded = 0 WHERE id = (SELECT min(id) FROM job WHERE family_id = new.family_id AND listed = 2);
END;

CREATE TRIGGER job_returned AFTER UPDATE OF removed_at ON job
WHEN old.listed = 0 AND new.listed <> 0 AND new.family_id IS NOT NULL BEGIN
  UPDATE job SET folded = 1 WHERE family_id = new.family_id AND listed = 1 AND id > (SELECT min(id) FROM job WHERE family_id = new.family_id AND listed <> 0);
  UPDATE job SET folded = 0 WHERE folded AND id = (SELECT min(id) FROM job WHERE family_id = new.family_id AND listed <> 0);
END;

CREATE TRIGGER job_folded AFTER UPDATE OF folded, removed_at ON job
WHEN (old.listed = 2) <> (new.listed = 2) BEGIN
  UPDATE meta SET folded = folded + (new.listed = 2) - (old.listed = 2);
END;

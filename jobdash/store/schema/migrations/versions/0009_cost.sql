ALTER TABLE job ADD COLUMN cached_tokens INTEGER;

ALTER TABLE job ADD COLUMN cost INTEGER;

ALTER TABLE job ADD COLUMN cost_is_upper_bound INTEGER;

ALTER TABLE job ADD COLUMN cost_stale INTEGER;

ALTER TABLE job ADD COLUMN cost_key INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(cost, -1)) VIRTUAL;

ALTER TABLE job ADD COLUMN tokens INTEGER GENERATED ALWAYS AS (CASE WHEN coalesce(input_tokens, output_tokens) IS NOT NULL THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) END) VIRTUAL;

CREATE INDEX job_cost_stale ON job (cost_stale) WHERE cost_stale IS NOT NULL;

CREATE INDEX job_shown_cost ON job (shown, cost_key);

CREATE INDEX job_tab_cost ON job (tab, cost_key);

DROP TRIGGER job_changed;

-- Zeros are written before anything is counted: unknown.
UPDATE job SET
  input_tokens = CASE WHEN json_type(usage, '$.input_tokens') = 'integer' AND json_extract(usage, '$.input_tokens') >= 0
    THEN json_extract(usage, '$.input_tokens') END,
  output_tokens = CASE WHEN json_type(usage, '$.output_tokens') = 'integer' AND json_extract(usage, '$.output_tokens') >= 0
    THEN json_extract(usage, '$.output_tokens') END,
  cached_tokens = CASE WHEN json_type(usage, '$.input_tokens_details.cached_tokens') = 'integer'
    AND json_extract(usage, '$.input_tokens_details.cached_tokens') >= 0
    THEN json_extract(usage, '$.input_tokens_details.cached_tokens') END
WHERE json_valid(usage) AND json_extract(usage, '$.input_tokens') > 0;

UPDATE job SET cost_stale = 1 WHERE input_tokens IS NOT NULL;

CREATE TRIGGER job_changed AFTER UPDATE OF provider, account, origin, remote_id, submit_key, name, remote_status, raw_status, cancel_requested_at, cancel_reason, cancel_doubt, verdict, verdict_at, verdict_reason, model, endpoint, total, succeeded, failed, cancelled, expired, error, errors, usage, files, remote_metadata, created_at, started_at, finished_at, expires_at, gone_at, removed_at, removing, left_behind, parent_id, superseded_by, attempt, fence, owner, last_owner, lease_until, fetched_at, results_folder, results_ok, results_error, results_cut_off, results_missing, input_tokens, output_tokens, results_expire_at, cached_tokens, cost, cost_is_upper_bound ON job
WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.origin IS NOT new.origin OR old.remote_id IS NOT new.remote_id OR old.submit_key IS NOT new.submit_key OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fence IS NOT new.fence OR old.owner IS NOT new.owner OR old.last_owner IS NOT new.last_owner OR old.lease_until IS NOT new.lease_until OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at OR old.cached_tokens IS NOT new.cached_tokens OR old.cost IS NOT new.cost OR old.cost_is_upper_bound IS NOT new.cost_is_upper_bound BEGIN
  UPDATE meta SET revision = revision + 1;
  UPDATE job SET revision = (SELECT revision FROM meta),
    updated_at = CASE WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.remote_id IS NOT new.remote_id OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at OR old.cached_tokens IS NOT new.cached_tokens
      THEN CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) ELSE updated_at END
  WHERE id = new.id;
END;

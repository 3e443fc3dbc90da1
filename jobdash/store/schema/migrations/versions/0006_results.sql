ALTER TABLE job ADD COLUMN fetched_at INTEGER;

ALTER TABLE job ADD COLUMN results_folder VARCHAR;

ALTER TABLE job ADD COLUMN results_ok INTEGER;

ALTER TABLE job ADD COLUMN results_error INTEGER;

ALTER TABLE job ADD COLUMN results_cut_off INTEGER;

ALTER TABLE job ADD COLUMN results_missing INTEGER;

ALTER TABLE job ADD COLUMN input_tokens INTEGER;

ALTER TABLE job ADD COLUMN output_tokens INTEGER;

ALTER TABLE job ADD COLUMN results_expire_at INTEGER;

DROP TRIGGER job_changed;

CREATE TRIGGER job_changed AFTER UPDATE OF provider, account, origin, remote_id, submit_key, name, remote_status, raw_status, cancel_requested_at, cancel_reason, cancel_doubt, verdict, verdict_at, verdict_reason, model, endpoint, total, succeeded, failed, cancelled, expired, error, errors, usage, files, remote_metadata, created_at, started_at, finished_at, expires_at, gone_at, removed_at, removing, left_behind, parent_id, superseded_by, attempt, fence, owner, last_owner, lease_until, fetched_at, results_folder, results_ok, results_error, results_cut_off, results_missing, input_tokens, output_tokens, results_expire_at ON job
WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.origin IS NOT new.origin OR old.remote_id IS NOT new.remote_id OR old.submit_key IS NOT new.submit_key OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fence IS NOT new.fence OR old.owner IS NOT new.owner OR old.last_owner IS NOT new.last_owner OR old.lease_until IS NOT new.lease_until OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at BEGIN
  UPDATE meta SET revision = revision + 1;
  UPDATE job SET revision = (SELECT revision FROM meta),
    updated_at = CASE WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.remote_id IS NOT new.remote_id OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at
      THEN CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) ELSE updated_at END
  WHERE id = new.id;
END;

ALTER TABLE account ADD COLUMN fingerprint TEXT COLLATE "C";

ALTER TABLE account ADD COLUMN polled_by TEXT COLLATE "C";

ALTER TABLE meta ADD COLUMN secret TEXT COLLATE "C";

UPDATE meta SET secret = replace(gen_random_uuid()::text, '-', '');

ALTER TABLE job ADD COLUMN fetched_on TEXT COLLATE "C";

CREATE OR REPLACE FUNCTION job_revised() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  new.revision := pg_current_xact_id()::text::bigint;
  PERFORM nextval('pulse');
  IF TG_OP = 'UPDATE' AND (old.provider, old.account, old.remote_id, old.name, old.remote_status, old.raw_status, old.cancel_requested_at, old.cancel_reason, old.cancel_doubt, old.verdict, old.verdict_at, old.verdict_reason, old.model, old.endpoint, old.total, old.succeeded, old.failed, old.cancelled, old.expired, old.error, old.errors, old.usage, old.files, old.remote_metadata, old.created_at, old.started_at, old.finished_at, old.expires_at, old.gone_at, old.removed_at, old.removing, old.left_behind, old.parent_id, old.superseded_by, old.attempt, old.fetched_at, old.results_folder, old.results_ok, old.results_error, old.results_cut_off, old.results_missing, old.input_tokens, old.output_tokens, old.results_expire_at, old.cached_tokens, old.family, old.kept_succeeded, old.kept_failed, old.fetched_on) IS DISTINCT FROM (new.provider, new.account, new.remote_id, new.name, new.remote_status, new.raw_status, new.cancel_requested_at, new.cancel_reason, new.cancel_doubt, new.verdict, new.verdict_at, new.verdict_reason, new.model, new.endpoint, new.total, new.succeeded, new.failed, new.cancelled, new.expired, new.error, new.errors, new.usage, new.files, new.remote_metadata, new.created_at, new.started_at, new.finished_at, new.expires_at, new.gone_at, new.removed_at, new.removing, new.left_behind, new.parent_id, new.superseded_by, new.attempt, new.fetched_at, new.results_folder, new.results_ok, new.results_error, new.results_cut_off, new.results_missing, new.input_tokens, new.output_tokens, new.results_expire_at, new.cached_tokens, new.family, new.kept_succeeded, new.kept_failed, new.fetched_on) THEN
    new.updated_at := now_ms();
  END IF;
  RETURN new;
END
$$;

DROP TRIGGER job_changed ON job;

CREATE TRIGGER job_changed BEFORE UPDATE ON job FOR EACH ROW
WHEN ((old.provider, old.account, old.origin, old.remote_id, old.submit_key, old.name, old.remote_status, old.raw_status, old.cancel_requested_at, old.cancel_reason, old.cancel_doubt, old.verdict, old.verdict_at, old.verdict_reason, old.model, old.endpoint, old.total, old.succeeded, old.failed, old.cancelled, old.expired, old.error, old.errors, old.usage, old.files, old.remote_metadata, old.created_at, old.started_at, old.finished_at, old.expires_at, old.gone_at, old.removed_at, old.removing, old.left_behind, old.parent_id, old.superseded_by, old.attempt, old.fence, old.owner, old.last_owner, old.lease_until, old.fetched_at, old.results_folder, old.results_ok, old.results_error, old.results_cut_off, old.results_missing, old.input_tokens, old.output_tokens, old.results_expire_at, old.cached_tokens, old.cost, old.cost_is_upper_bound, old.family, old.family_id, old.folded, old.kept_succeeded, old.kept_failed, old.profile, old.fetched_on) IS DISTINCT FROM (new.provider, new.account, new.origin, new.remote_id, new.submit_key, new.name, new.remote_status, new.raw_status, new.cancel_requested_at, new.cancel_reason, new.cancel_doubt, new.verdict, new.verdict_at, new.verdict_reason, new.model, new.endpoint, new.total, new.succeeded, new.failed, new.cancelled, new.expired, new.error, new.errors, new.usage, new.files, new.remote_metadata, new.created_at, new.started_at, new.finished_at, new.expires_at, new.gone_at, new.removed_at, new.removing, new.left_behind, new.parent_id, new.superseded_by, new.attempt, new.fence, new.owner, new.last_owner, new.lease_until, new.fetched_at, new.results_folder, new.results_ok, new.results_error, new.results_cut_off, new.results_missing, new.input_tokens, new.output_tokens, new.results_expire_at, new.cached_tokens, new.cost, new.cost_is_upper_bound, new.family, new.family_id, new.folded, new.kept_succeeded, new.kept_failed, new.profile, new.fetched_on)) EXECUTE FUNCTION job_revised();

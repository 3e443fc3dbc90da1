-- job_row
SELECT job.id, job.started_at, job.finished_at, job.expires_at, job.model, job.endpoint, job.total, job.succeeded, job.failed, job.cancelled, job.expired, job.input_tokens, job.output_tokens, job.cached_tokens, job.profile, job.percent, job.public_id, job.provider, job.account, job.remote_id, job.name, job.status, job.remote_status, job.raw_status, job.verdict, job.created_at, job.updated_at, job.cancel_requested_at, job.removed_at, job.gone_at, job.error, job.left_behind, job.lease_until, job.removing, job.cancel_doubt, job.fence, job.revision, job.done_before, job.origin, job.fetched_at, job.results_ok, job.results_error, job.results_cut_off, job.results_missing, job.results_expire_at, job.cost, job.cost_is_upper_bound, job.family, job.family_id, job.folded, job.parent_id, job.superseded_by, job.kept_succeeded, job.kept_failed, job.function, job.fetch_error FROM job WHERE job.id = :job_key;

-- set_job
UPDATE job SET {columns} WHERE job.id = :job_key;

-- set_job_and_fence
UPDATE job SET {columns}, fence=(job.fence + 1), owner=NULL, last_owner=coalesce(job.owner, job.last_owner), lease_until=NULL WHERE job.id = :job_key;

-- set_cost
UPDATE job SET cost=:micros, cost_is_upper_bound=:bound, cost_stale=NULL WHERE job.id = :job_key AND job.input_tokens IS :read AND job.output_tokens IS :written AND job.cached_tokens IS :cached AND job.model IS :model_name;

-- job_files
SELECT job.files FROM job WHERE job.id = :job_key;

-- job_kept_here
SELECT job.results_folder, job.submit_key, job.fetched_on FROM job WHERE job.id = :job_key;

-- known_by_id
SELECT job.model, job.endpoint, job.total, job.succeeded, job.failed, job.cancelled, job.expired, job.created_at, job.started_at, job.finished_at, job.expires_at, job.input_tokens, job.output_tokens, job.cached_tokens, job.percent, job.usage, job.files, job.remote_metadata, job.raw_status, job.error, job.errors, job.id, job.remote_id, job.account, job.name, job.submit_key, job.remote_status, job.cancel_requested_at, job.cancel_doubt, job.seen_at, job.not_found_at, job.gone_at, job.removed_at, job.profile FROM job WHERE job.id = :job_key;

-- known_by_remote_id
SELECT job.model, job.endpoint, job.total, job.succeeded, job.failed, job.cancelled, job.expired, job.created_at, job.started_at, job.finished_at, job.expires_at, job.input_tokens, job.output_tokens, job.cached_tokens, job.percent, job.usage, job.files, job.remote_metadata, job.raw_status, job.error, job.errors, job.id, job.remote_id, job.account, job.name, job.submit_key, job.remote_status, job.cancel_requested_at, job.cancel_doubt, job.seen_at, job.not_found_at, job.gone_at, job.removed_at, job.profile FROM job WHERE job.remote_id IN ({words}) AND job.provider = :provider AND job.origin = :origin;

-- known_by_submit_key
SELECT job.model, job.endpoint, job.total, job.succeeded, job.failed, job.cancelled, job.expired, job.created_at, job.started_at, job.finished_at, job.expires_at, job.input_tokens, job.output_tokens, job.cached_tokens, job.percent, job.usage, job.files, job.remote_metadata, job.raw_status, job.error, job.errors, job.id, job.remote_id, job.account, job.name, job.submit_key, job.remote_status, job.cancel_requested_at, job.cancel_doubt, job.seen_at, job.not_found_at, job.gone_at, job.removed_at, job.profile FROM job WHERE job.submit_key IN ({words}) AND job.remote_id IS NULL AND job.provider = :provider;

-- known_by_input_file
SELECT job.model, job.endpoint, job.total, job.succeeded, job.failed, job.cancelled, job.expired, job.created_at, job.started_at, job.finished_at, job.expires_at, job.input_tokens, job.output_tokens, job.cached_tokens, job.percent, job.usage, job.files, job.remote_metadata, job.raw_status, job.error, job.errors, job.id, job.remote_id, job.account, job.name, job.submit_key, job.remote_status, job.cancel_requested_at, job.cancel_doubt, job.seen_at, job.not_found_at, job.gone_at, job.removed_at, job.profile FROM job WHERE job.remote_id IS NULL AND job.remote_status IN ('cancelling', 'finalizing', 'in_progress', 'pending', 'unknown', 'validating') AND job.provider = :provider AND job.origin = :origin AND json_extract(job.files, '$.input') IN ({words});

-- mark_seen
UPDATE job SET seen_at=:asked, unchanged_polls=CASE WHEN :unchanged THEN job.unchanged_polls + 1 ELSE 0 END WHERE job.id = :job_key AND (job.seen_at IS NULL OR job.seen_at < :asked OR job.seen_at > :ahead);

-- doubt_jobs
UPDATE job SET not_found_at=:marker WHERE job.account = :account AND remote_status <> 'cancelled' AND remote_status <> 'completed' AND remote_status <> 'expired' AND remote_status <> 'failed' AND job.remote_id IS NOT NULL;

-- last_job_id
SELECT max(job.id) AS max_1 FROM job;

-- jobs_behind
SELECT job.id, job.remote_id FROM job WHERE job.id > :last ORDER BY job.id;

-- insert_listed_job
INSERT INTO job (public_id, provider, account, origin, remote_id, submit_key, name, remote_status, raw_status, cancel_requested_at, cancel_reason, verdict, verdict_at, verdict_reason, model, endpoint, total, succeeded, failed, cancelled, expired, error, errors, usage, files, remote_metadata, created_at, started_at, finished_at, expires_at, seen_at, not_found_at, gone_at, removed_at, removing, left_behind, parent_id, superseded_by, owner, last_owner, lease_until, done_before, fetched_at, results_folder, results_ok, results_error, results_cut_off, results_missing, input_tokens, output_tokens, results_expire_at, cached_tokens, cost, cost_is_upper_bound, cost_stale, family, estimated_tokens, queued, kept_succeeded, kept_failed, profile, percent, fetch_error, updated_at) VALUES (:public_id, :provider, :account, :origin, :remote_id, :submit_key, :name, :remote_status, :raw_status, :cancel_requested_at, :cancel_reason, :verdict, :verdict_at, :verdict_reason, :model, :endpoint, :total, :succeeded, :failed, :cancelled, :expired, :error, :errors, :usage, :files, :remote_metadata, :created_at, :started_at, :finished_at, :expires_at, :seen_at, :not_found_at, :gone_at, :removed_at, :removing, :left_behind, :parent_id, :superseded_by, :owner, :last_owner, :lease_until, :done_before, :fetched_at, :results_folder, :results_ok, :results_error, :results_cut_off, :results_missing, :input_tokens, :output_tokens, :results_expire_at, :cached_tokens, :cost, :cost_is_upper_bound, :cost_stale, :family, :estimated_tokens, :queued, :kept_succeeded, :kept_failed, :profile, :percent, :fetch_error, :updated_at);

-- insert_submitted_job
INSERT INTO job (public_id, provider, account, origin, submit_key, name, remote_status, raw_status, model, endpoint, total, created_at, parent_id, kept_succeeded, kept_failed, family, estimated_tokens, queued, profile) VALUES (:public_id, :provider, :account, :origin, :submit_key, :name, :remote_status, :raw_status, :model, :endpoint, :total, :created_at, :parent_id, :kept_succeeded, :kept_failed, :family, :estimated_tokens, :queued, :profile) RETURNING id;

-- newer_of_file
SELECT job.id FROM job WHERE job.raw_status != 'not submitted' AND job.id IN (SELECT intent.job_id FROM intent WHERE intent.id > :intent_seen AND intent.kind = 'submit' AND intent.choices LIKE :mark UNION ALL SELECT job.id FROM job WHERE job.id > :job_seen AND job.queued LIKE :mark);

-- unset_superseded
UPDATE job SET superseded_by=NULL WHERE job.id = (SELECT job_1.parent_id FROM job AS job_1 WHERE job_1.id = :child_key) AND job.superseded_by = :child_key;

-- double_of_job
SELECT job.id FROM job WHERE job.remote_id = :remote AND job.provider = :provider AND job.origin = (SELECT job.origin FROM job WHERE job.id = :job_key) AND job.id != :job_key;

-- submit_key_of_job
SELECT job.submit_key FROM job WHERE job.id = :job_key;

-- delete_job
DELETE FROM job WHERE job.id = :job_key;

-- insert_tag
INSERT INTO job_tag (job_id, "key", value) VALUES (:job_id, :key, :value);

-- insert_new_tag
INSERT INTO job_tag (job_id, "key", value) VALUES (:job_id, :key, :value) ON CONFLICT DO NOTHING;

-- insert_item
INSERT INTO item (job_id, seq, "key", outcome, attempt, detail, error_type, error, at) VALUES (:job_id, :seq, :key, :outcome, :attempt, :detail, :error_type, :error, :at);

-- delete_item
DELETE FROM item WHERE item.job_id = :job_id AND (item.seq = :seq OR item."key" = :key);

-- delete_items
DELETE FROM item WHERE item.job_id = :job_key;

-- delete_items_between
DELETE FROM item WHERE item.job_id = :job_key AND item.seq >= :first AND item.seq < :end;

-- insert_event
INSERT INTO event (at, actor, face, action, job_id, job_public_id, job_name, account, result, detail, bulk) VALUES (:at, :actor, :face, :action, :job_id, :job_public_id, :job_name, :account, :result, :detail, :bulk);

-- set_reviewed
INSERT INTO review (job_id, at, marks) VALUES (:job_id, :at, :marks) ON CONFLICT (job_id) DO UPDATE SET at = excluded.at, marks = excluded.marks;

-- queued_jobs
SELECT job.id, job.model, job.estimated_tokens, job.submit_key, job.queued FROM job WHERE job.account = :account AND job.queued IS NOT NULL AND job.raw_status = 'queued here' AND job.remote_id IS NULL AND job.origin = :origin AND job.status = 'pending' AND job.removed_at IS NULL ORDER BY job.id;

-- queued_of_model
SELECT job.id, job.queued FROM job WHERE job.account = :account AND job.queued IS NOT NULL AND job.raw_status = 'queued here' AND job.remote_id IS NULL AND job.model IS :model;

-- enqueued_tokens
SELECT coalesce(sum(job.estimated_tokens), 0) AS coalesce_1 FROM job WHERE remote_status <> 'cancelled' AND remote_status <> 'completed' AND remote_status <> 'expired' AND remote_status <> 'failed' AND job.account = :account AND job.model IS :model AND job.raw_status != 'queued here' AND job.gone_at IS NULL;

-- sent_from_queue
SELECT job.id, job.submit_key, job.queued, job.remote_status, job.remote_id, job.errors, job.superseded_by, job.removed_at FROM job WHERE job.account = :account AND job.queued IS NOT NULL AND (job.raw_status != 'queued here' OR job.remote_id IS NOT NULL);

-- queue_of_job
SELECT job.queued, job.estimated_tokens, job.superseded_by FROM job WHERE job.id = :job_key;

-- tags_of_job
SELECT job_tag."key", job_tag.value FROM job_tag WHERE job_tag.job_id = :job_key;

-- step_of_intent
SELECT intent.target FROM intent WHERE intent.id = :intent_key AND intent.closed_at IS NULL;

-- renew_creation
UPDATE intent SET deadline=:later, target=:step WHERE intent.id = :intent_key AND intent.closed_at IS NULL;

-- insert_intent
INSERT INTO intent (kind, account, job_id, owner, actor, opened_at, deadline, earlier_cancel_requested_at, target, choices, bulk) VALUES (:kind, :account, :job_id, :owner, :actor, :opened_at, :deadline, :earlier_cancel_requested_at, :target, :choices, :bulk) RETURNING id;

-- open_intent
SELECT intent.id FROM intent WHERE intent.id = :intent_key AND intent.closed_at IS NULL;

-- closed_intent
SELECT intent.id, intent.kind, intent.account, intent.job_id, intent.owner, intent.opened_at, intent.deadline, intent.earlier_cancel_requested_at, intent.target, intent.choices, intent.bulk FROM intent WHERE intent.id = :intent_key AND intent.closed_at IS NOT NULL;

-- close_intent
UPDATE intent SET closed_at=:now, result=:outcome WHERE intent.id = :intent_key AND intent.closed_at IS NULL RETURNING id, kind, account, job_id, owner, opened_at, deadline, earlier_cancel_requested_at, target, choices, bulk;

-- waiting_removals
SELECT intent.id FROM intent WHERE intent.job_id = :job_key AND intent.kind = 'remove' AND intent.closed_at IS NULL;

-- take_over_intent
UPDATE intent SET owner=:mine, deadline=:later WHERE intent.id = :intent_key AND intent.closed_at IS NULL AND intent.owner = :was AND intent.deadline = :until;

-- renew_intent
UPDATE intent SET deadline=:later WHERE intent.id = :intent_key AND intent.closed_at IS NULL;

-- shorten_intent
UPDATE intent SET deadline=:until WHERE intent.id = :intent_key AND intent.closed_at IS NULL AND intent.deadline > :until;

-- adopt_intents
UPDATE intent SET account=:adopter WHERE intent.job_id = :job_key AND intent.closed_at IS NULL;

-- move_intents
UPDATE intent SET job_id=:target_key WHERE intent.job_id = :job_key;

-- user_of_file
SELECT other.public_id FROM job AS mine JOIN job AS other INDEXED BY job_unfinished ON other.origin = mine.origin AND other.provider = mine.provider AND other.id <> mine.id WHERE mine.id = :job_key AND other.remote_status <> 'cancelled' AND other.remote_status <> 'completed' AND other.remote_status <> 'expired' AND other.remote_status <> 'failed' AND other.gone_at IS NULL AND EXISTS (SELECT 1 FROM json_each(other.files) AS file WHERE file.value = :file) LIMIT 1;

-- batches_like_submit
SELECT found.remote_id FROM job AS mine JOIN job AS found ON found.id > mine.id AND found.origin = mine.origin AND found.provider = mine.provider AND found.total = mine.total WHERE mine.id = :job_key AND found.submit_key IS NULL AND found.remote_id IS NOT NULL AND found.created_at BETWEEN :since AND :until ORDER BY found.id;

-- rivals_of_submit
SELECT count(*) FROM job AS mine JOIN job AS rival INDEXED BY job_unfinished ON rival.origin = mine.origin AND rival.provider = mine.provider AND rival.total = mine.total AND rival.id <> mine.id WHERE mine.id = :job_key AND rival.remote_status <> 'cancelled' AND rival.remote_status <> 'completed' AND rival.remote_status <> 'expired' AND rival.remote_status <> 'failed' AND rival.submit_key IS NOT NULL AND rival.remote_id IS NULL AND EXISTS (SELECT 1 FROM intent WHERE intent.job_id = rival.id AND intent.kind = 'submit' AND intent.deadline >= :since AND intent.opened_at <= :until);

-- add_account
INSERT INTO account (name, provider) VALUES (:name, :provider) ON CONFLICT DO NOTHING;

-- due_accounts
SELECT account.name FROM account WHERE account.name IN ({words}) AND (account.next_poll_at <= :now OR account.next_poll_at > :ahead);

-- busy_accounts
SELECT account.name FROM account WHERE account.name IN ({words}) AND NOT (account.claimed_until IS NULL OR account.claimed_until <= :now OR account.claimed_until > :ahead);

-- claim_accounts
UPDATE account SET next_poll_at=:until, claimed_until=:until, fingerprint=coalesce(account.fingerprint, :fingerprint), polled_by=:actor WHERE account.name IN ({words});

-- account_keys
SELECT account.name, account.fingerprint, account.polled_by FROM account WHERE account.name IN ({words});

-- set_account_key
UPDATE account SET fingerprint=:key, polled_by=:actor WHERE account.name = :account;

-- extend_claims
UPDATE account SET next_poll_at=:until, claimed_until=:until WHERE account.name IN ({words}) AND NOT (account.next_poll_at = 0 OR account.claimed_until IS NOT NULL AND account.next_poll_at != account.claimed_until);

-- set_health
UPDATE account SET asked_at=:asked_at, ok_at=coalesce(:succeeded_at, account.ok_at), error=:error, error_kind=:error_kind, next_poll_at=CASE WHEN (:claimed AND (account.next_poll_at = 0 OR account.claimed_until IS NOT NULL AND account.next_poll_at != account.claimed_until)) THEN CASE WHEN (account.next_poll_at < :next_poll_at) THEN account.next_poll_at ELSE :next_poll_at END ELSE :next_poll_at END, retry_after_until=:retry_after_until, discovered=coalesce(:discovered, account.discovered), first_sync_done=coalesce(:first_sync_done, account.first_sync_done), claimed_until=NULL, failing_since=CASE WHEN (CAST(:error AS VARCHAR) IS NOT NULL) THEN coalesce(account.failing_since, :asked_at) ELSE NULL END, reviewed_error=CASE WHEN (CAST(:error AS VARCHAR) IS NOT NULL) THEN account.reviewed_error ELSE NULL END WHERE account.name IN ({words}) AND (account.fingerprint IS NULL OR account.fingerprint = :key OR account.polled_by = :actor);

-- set_account_reviewed
UPDATE account SET reviewed_error=:error WHERE account.name = :account;

-- poll_now
UPDATE account SET next_poll_at=0 WHERE account.name IN ({words});

-- poll_all_now
UPDATE account SET next_poll_at=0;

-- poll_soon
UPDATE account SET next_poll_at=:now WHERE account.name = :account AND account.next_poll_at > :now;

-- notified_event
SELECT meta.notified_event FROM meta;

-- set_notified_event
UPDATE meta SET notified_event=:event;

-- last_event_id
SELECT max(event.id) AS max_1 FROM event;

-- ends_behind
SELECT event.job_id, event.action, event.at FROM event WHERE event.id > :event AND event.job_id IS NOT NULL AND event.action IN ('finished', 'end', 'stalled', 'results-gone-soon') ORDER BY event.id;

-- newly_stalled_jobs
SELECT job.id FROM job WHERE job.tab = 1 AND job.status = 'in_progress' AND job.lease_until < :now AND NOT (EXISTS (SELECT * FROM event WHERE event.job_id = job.id AND event.action = 'stalled' AND event.at >= job.lease_until));

-- results_newly_gone_soon
SELECT job.id FROM job WHERE job.results_expire_at > :now AND job.results_expire_at <= :soon AND job.fetched_at IS NULL AND job.removed_at IS NULL AND NOT (EXISTS (SELECT * FROM event WHERE event.job_id = job.id AND event.action = 'results-gone-soon'));

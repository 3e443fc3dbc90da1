CREATE TABLE job (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
	public_id VARCHAR NOT NULL,
	provider VARCHAR NOT NULL,
	account VARCHAR NOT NULL,
	origin VARCHAR NOT NULL,
	remote_id VARCHAR,
	submit_key VARCHAR,
	name VARCHAR NOT NULL,
	remote_status VARCHAR NOT NULL,
	raw_status VARCHAR NOT NULL,
	cancel_requested_at INTEGER,
	cancel_reason VARCHAR,
	cancel_doubt INTEGER DEFAULT 0 NOT NULL,
	verdict VARCHAR,
	verdict_at INTEGER,
	verdict_reason VARCHAR,
	model VARCHAR,
	endpoint VARCHAR,
	total INTEGER,
	succeeded INTEGER,
	failed INTEGER,
	cancelled INTEGER,
	expired INTEGER,
	error VARCHAR,
	errors VARCHAR,
	usage VARCHAR,
	files VARCHAR,
	remote_metadata VARCHAR,
	created_at INTEGER NOT NULL,
	started_at INTEGER,
	finished_at INTEGER,
	expires_at INTEGER,
	updated_at INTEGER DEFAULT (CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER)) NOT NULL,
	seen_at INTEGER,
	not_found_at INTEGER,
	gone_at INTEGER,
	removed_at INTEGER,
	removing INTEGER,
	left_behind VARCHAR,
	parent_id INTEGER,
	superseded_by INTEGER,
	attempt INTEGER DEFAULT 1 NOT NULL,
	fence INTEGER DEFAULT 0 NOT NULL,
	owner VARCHAR,
	last_owner VARCHAR,
	lease_until INTEGER,
	revision INTEGER DEFAULT 0 NOT NULL,
	status VARCHAR NOT NULL GENERATED ALWAYS AS (CASE WHEN verdict = 'force_failed' THEN 'failed' WHEN (remote_status = 'cancelled' OR remote_status = 'completed' OR remote_status = 'expired' OR remote_status = 'failed') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN 'cancelling' ELSE remote_status END) VIRTUAL,
	tab INTEGER NOT NULL GENERATED ALWAYS AS (CASE WHEN removed_at IS NOT NULL THEN -1 ELSE CASE ((CASE WHEN verdict = 'force_failed' THEN 'failed' WHEN (remote_status = 'cancelled' OR remote_status = 'completed' OR remote_status = 'expired' OR remote_status = 'failed') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN 'cancelling' ELSE remote_status END)) WHEN 'cancelled' THEN 6 WHEN 'completed' THEN 4 WHEN 'expired' THEN 7 WHEN 'failed' THEN 5 ELSE CASE WHEN gone_at IS NOT NULL THEN 0 ELSE CASE ((CASE WHEN verdict = 'force_failed' THEN 'failed' WHEN (remote_status = 'cancelled' OR remote_status = 'completed' OR remote_status = 'expired' OR remote_status = 'failed') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN 'cancelling' ELSE remote_status END)) WHEN 'cancelling' THEN 3 WHEN 'finalizing' THEN 1 WHEN 'in_progress' THEN 1 WHEN 'pending' THEN 2 WHEN 'unknown' THEN 1 WHEN 'validating' THEN 1 END END END END) VIRTUAL,
	shown INTEGER NOT NULL GENERATED ALWAYS AS (removed_at IS NULL) VIRTUAL,
	name_key VARCHAR NOT NULL GENERATED ALWAYS AS (lower(name)) VIRTUAL,
	total_key INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(total, -1)) VIRTUAL,
	failed_key INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(failed, -1)) VIRTUAL,
	progress_key INTEGER NOT NULL GENERATED ALWAYS AS (CASE WHEN total > 0 AND coalesce(succeeded, failed) IS NOT NULL THEN 10000 * (coalesce(succeeded, 0) + coalesce(failed, 0)) / total ELSE -1 END) VIRTUAL,
	done_before INTEGER,
	unchanged_polls INTEGER DEFAULT 0 NOT NULL,
	fetched_at INTEGER,
	results_folder VARCHAR,
	results_ok INTEGER,
	results_error INTEGER,
	results_cut_off INTEGER,
	results_missing INTEGER,
	input_tokens INTEGER,
	output_tokens INTEGER,
	results_expire_at INTEGER,
	cached_tokens INTEGER,
	cost INTEGER,
	cost_is_upper_bound INTEGER,
	cost_stale INTEGER,
	cost_key INTEGER NOT NULL GENERATED ALWAYS AS (coalesce(cost, -1)) VIRTUAL,
	tokens INTEGER GENERATED ALWAYS AS (CASE WHEN coalesce(input_tokens, output_tokens) IS NOT NULL THEN coalesce(input_tokens, 0) + coalesce(output_tokens, 0) END) VIRTUAL,
	family VARCHAR,
	estimated_tokens INTEGER,
	queued VARCHAR,
	family_id INTEGER,
	folded INTEGER DEFAULT 0 NOT NULL,
	listed INTEGER NOT NULL GENERATED ALWAYS AS (CASE WHEN removed_at IS NOT NULL THEN 0 WHEN folded THEN 2 ELSE 1 END) VIRTUAL,
	kept_succeeded INTEGER,
	kept_failed INTEGER,
	profile VARCHAR,
	function VARCHAR,
	fetched_on VARCHAR,
	percent INTEGER,
	fetch_error VARCHAR,
	CONSTRAINT remote_status_known CHECK ((remote_status = 'cancelled' OR remote_status = 'cancelling' OR remote_status = 'completed' OR remote_status = 'expired' OR remote_status = 'failed' OR remote_status = 'finalizing' OR remote_status = 'in_progress' OR remote_status = 'pending' OR remote_status = 'unknown' OR remote_status = 'validating')),
	CONSTRAINT verdict_known CHECK (verdict = 'force_failed'),
	CONSTRAINT cancel_doubt_is_boolean CHECK (cancel_doubt IN (0, 1)),
	CONSTRAINT counts_not_negative CHECK (coalesce(total, 0) >= 0 AND coalesce(succeeded, 0) >= 0 AND coalesce(failed, 0) >= 0 AND coalesce(cancelled, 0) >= 0 AND coalesce(expired, 0) >= 0),
	FOREIGN KEY(parent_id) REFERENCES job (id)
);

CREATE TABLE account (
	name VARCHAR NOT NULL,
	provider VARCHAR NOT NULL,
	asked_at INTEGER,
	ok_at INTEGER,
	error VARCHAR,
	error_kind VARCHAR,
	next_poll_at INTEGER DEFAULT 0 NOT NULL,
	retry_after_until INTEGER,
	discovered INTEGER DEFAULT 0 NOT NULL,
	first_sync_done INTEGER DEFAULT 0 NOT NULL,
	claimed_until INTEGER,
	failing_since INTEGER,
	reviewed_error VARCHAR,
	fingerprint VARCHAR,
	polled_by VARCHAR,
	PRIMARY KEY (name)
);

CREATE TABLE event (
	id INTEGER NOT NULL,
	at INTEGER NOT NULL,
	actor VARCHAR NOT NULL,
	face VARCHAR NOT NULL,
	action VARCHAR NOT NULL,
	job_id INTEGER,
	job_public_id VARCHAR,
	job_name VARCHAR,
	account VARCHAR,
	result VARCHAR NOT NULL,
	detail VARCHAR DEFAULT '' NOT NULL,
	bulk VARCHAR,
	PRIMARY KEY (id)
);

CREATE TABLE tally (
	account VARCHAR NOT NULL,
	tab INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (account, tab)
);

CREATE TABLE meta (
	id INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	notified_event INTEGER,
	folded INTEGER DEFAULT 0 NOT NULL,
	secret VARCHAR,
	PRIMARY KEY (id),
	CONSTRAINT one_row CHECK (id = 1)
);

CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE job_tag (
	job_id INTEGER NOT NULL,
	"key" VARCHAR NOT NULL,
	value VARCHAR NOT NULL,
	PRIMARY KEY (job_id, "key"),
	FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);

CREATE TABLE intent (
	id INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	account VARCHAR NOT NULL,
	job_id INTEGER NOT NULL,
	owner VARCHAR NOT NULL,
	actor VARCHAR NOT NULL,
	opened_at INTEGER NOT NULL,
	deadline INTEGER NOT NULL,
	earlier_cancel_requested_at INTEGER,
	target VARCHAR,
	choices VARCHAR,
	bulk VARCHAR,
	closed_at INTEGER,
	result VARCHAR,
	PRIMARY KEY (id),
	CONSTRAINT kind_known CHECK ((kind = 'cancel' OR kind = 'delete' OR kind = 'remove' OR kind = 'submit' OR kind = 'upload')),
	FOREIGN KEY(job_id) REFERENCES job (id)
);

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
	work VARCHAR,
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
	given VARCHAR,
	PRIMARY KEY (job_id, seq),
	CONSTRAINT outcome_known CHECK ((outcome = 'error' OR outcome = 'ok' OR outcome = 'skipped' OR outcome = 'waiting')),
	FOREIGN KEY(job_id) REFERENCES job (id)
)
 WITHOUT ROWID;

CREATE TABLE part (
	job_id INTEGER NOT NULL,
	number INTEGER NOT NULL,
	first INTEGER NOT NULL,
	behind INTEGER NOT NULL,
	fence INTEGER DEFAULT 0 NOT NULL,
	owner VARCHAR,
	lease_until INTEGER,
	done_at INTEGER,
	lost INTEGER DEFAULT 0 NOT NULL,
	PRIMARY KEY (job_id, number),
	FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
)
 WITHOUT ROWID;

CREATE TABLE review (
	job_id INTEGER NOT NULL,
	at INTEGER NOT NULL,
	marks VARCHAR,
	PRIMARY KEY (job_id),
	FOREIGN KEY(job_id) REFERENCES job (id) ON DELETE CASCADE
);

CREATE INDEX event_at ON event (at);

CREATE INDEX event_bulk ON event (bulk);

CREATE INDEX event_job ON event (job_id);

CREATE INDEX intent_open ON intent (account) WHERE closed_at IS NULL;

CREATE INDEX intent_open_job ON intent (job_id) WHERE closed_at IS NULL;

CREATE INDEX item_outcome ON item (job_id, outcome, seq);

CREATE INDEX job_cost_stale ON job (cost_stale) WHERE cost_stale IS NOT NULL;

CREATE INDEX job_family ON job (family) WHERE family IS NOT NULL;

CREATE INDEX job_family_id ON job (family_id, listed) WHERE family_id IS NOT NULL;

CREATE INDEX job_function ON job (function, tab) WHERE function IS NOT NULL;

CREATE INDEX job_listed_account ON job (listed, account);

CREATE INDEX job_listed_cost ON job (listed, cost_key);

CREATE INDEX job_listed_created ON job (listed, created_at);

CREATE INDEX job_listed_failed ON job (listed, failed_key);

CREATE INDEX job_listed_name ON job (listed, name_key);

CREATE INDEX job_listed_progress ON job (listed, progress_key);

CREATE INDEX job_listed_total ON job (listed, total_key);

CREATE INDEX job_listed_updated ON job (listed, updated_at);

CREATE INDEX job_parent ON job (parent_id);

CREATE INDEX job_queued ON job (account) WHERE queued IS NOT NULL;

CREATE INDEX job_results_expire ON job (results_expire_at) WHERE results_expire_at IS NOT NULL;

CREATE INDEX job_revision ON job (revision);

CREATE INDEX job_shown_name ON job (shown, name_key);

CREATE INDEX job_submit_key ON job (submit_key) WHERE submit_key IS NOT NULL;

CREATE INDEX job_tab_account ON job (tab, account);

CREATE INDEX job_tab_cost ON job (tab, cost_key);

CREATE INDEX job_tab_created ON job (tab, created_at);

CREATE INDEX job_tab_failed ON job (tab, failed_key);

CREATE INDEX job_tab_name ON job (tab, name_key);

CREATE INDEX job_tab_progress ON job (tab, progress_key);

CREATE INDEX job_tab_total ON job (tab, total_key);

CREATE INDEX job_tab_updated ON job (tab, updated_at);

CREATE INDEX job_tag_key ON job_tag ("key", value);

CREATE INDEX job_tag_value ON job_tag (value);

CREATE INDEX job_text ON job (id, shown, name, public_id, remote_id);

CREATE INDEX job_unfinished ON job (account) WHERE remote_status <> 'cancelled' AND remote_status <> 'completed' AND remote_status <> 'expired' AND remote_status <> 'failed';

CREATE INDEX part_held ON part (owner) WHERE owner IS NOT NULL;

CREATE UNIQUE INDEX item_key ON item (job_id, "key");

CREATE UNIQUE INDEX job_identity ON job (remote_id, provider, origin);

CREATE UNIQUE INDEX job_public_id ON job (public_id);

CREATE TRIGGER job_inserted AFTER INSERT ON job BEGIN
  UPDATE meta SET revision = revision + 1;
  UPDATE job SET revision = (SELECT revision FROM meta) WHERE id = new.id;
  INSERT INTO tally (account, tab, n) VALUES (new.account, new.tab, 1) ON CONFLICT (account, tab) DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER job_changed AFTER UPDATE OF provider, account, origin, remote_id, submit_key, name, remote_status, raw_status, cancel_requested_at, cancel_reason, cancel_doubt, verdict, verdict_at, verdict_reason, model, endpoint, total, succeeded, failed, cancelled, expired, error, errors, usage, files, remote_metadata, created_at, started_at, finished_at, expires_at, gone_at, removed_at, removing, left_behind, parent_id, superseded_by, attempt, fence, owner, last_owner, lease_until, fetched_at, results_folder, results_ok, results_error, results_cut_off, results_missing, input_tokens, output_tokens, results_expire_at, cached_tokens, cost, cost_is_upper_bound, family, family_id, folded, kept_succeeded, kept_failed, profile, fetched_on, percent, fetch_error ON job
WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.origin IS NOT new.origin OR old.remote_id IS NOT new.remote_id OR old.submit_key IS NOT new.submit_key OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fence IS NOT new.fence OR old.owner IS NOT new.owner OR old.last_owner IS NOT new.last_owner OR old.lease_until IS NOT new.lease_until OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at OR old.cached_tokens IS NOT new.cached_tokens OR old.cost IS NOT new.cost OR old.cost_is_upper_bound IS NOT new.cost_is_upper_bound OR old.family IS NOT new.family OR old.family_id IS NOT new.family_id OR old.folded IS NOT new.folded OR old.kept_succeeded IS NOT new.kept_succeeded OR old.kept_failed IS NOT new.kept_failed OR old.profile IS NOT new.profile OR old.fetched_on IS NOT new.fetched_on OR old.percent IS NOT new.percent OR old.fetch_error IS NOT new.fetch_error BEGIN
  UPDATE meta SET revision = revision + 1;
  UPDATE job SET revision = (SELECT revision FROM meta),
    updated_at = CASE WHEN old.provider IS NOT new.provider OR old.account IS NOT new.account OR old.remote_id IS NOT new.remote_id OR old.name IS NOT new.name OR old.remote_status IS NOT new.remote_status OR old.raw_status IS NOT new.raw_status OR old.cancel_requested_at IS NOT new.cancel_requested_at OR old.cancel_reason IS NOT new.cancel_reason OR old.cancel_doubt IS NOT new.cancel_doubt OR old.verdict IS NOT new.verdict OR old.verdict_at IS NOT new.verdict_at OR old.verdict_reason IS NOT new.verdict_reason OR old.model IS NOT new.model OR old.endpoint IS NOT new.endpoint OR old.total IS NOT new.total OR old.succeeded IS NOT new.succeeded OR old.failed IS NOT new.failed OR old.cancelled IS NOT new.cancelled OR old.expired IS NOT new.expired OR old.error IS NOT new.error OR old.errors IS NOT new.errors OR old.usage IS NOT new.usage OR old.files IS NOT new.files OR old.remote_metadata IS NOT new.remote_metadata OR old.created_at IS NOT new.created_at OR old.started_at IS NOT new.started_at OR old.finished_at IS NOT new.finished_at OR old.expires_at IS NOT new.expires_at OR old.gone_at IS NOT new.gone_at OR old.removed_at IS NOT new.removed_at OR old.removing IS NOT new.removing OR old.left_behind IS NOT new.left_behind OR old.parent_id IS NOT new.parent_id OR old.superseded_by IS NOT new.superseded_by OR old.attempt IS NOT new.attempt OR old.fetched_at IS NOT new.fetched_at OR old.results_folder IS NOT new.results_folder OR old.results_ok IS NOT new.results_ok OR old.results_error IS NOT new.results_error OR old.results_cut_off IS NOT new.results_cut_off OR old.results_missing IS NOT new.results_missing OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens OR old.results_expire_at IS NOT new.results_expire_at OR old.cached_tokens IS NOT new.cached_tokens OR old.family IS NOT new.family OR old.kept_succeeded IS NOT new.kept_succeeded OR old.kept_failed IS NOT new.kept_failed OR old.fetched_on IS NOT new.fetched_on OR old.percent IS NOT new.percent OR old.fetch_error IS NOT new.fetch_error
      THEN CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) ELSE updated_at END
  WHERE id = new.id;
END;

CREATE TRIGGER job_moved AFTER UPDATE OF account, remote_status, cancel_requested_at, verdict, gone_at, removed_at ON job
WHEN old.account IS NOT new.account OR old.tab IS NOT new.tab BEGIN
  UPDATE tally SET n = n - 1 WHERE account = old.account AND tab = old.tab;
  INSERT INTO tally (account, tab, n) VALUES (new.account, new.tab, 1) ON CONFLICT (account, tab) DO UPDATE SET n = n + 1;
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

INSERT INTO meta (id, revision, secret) VALUES (1, 0, lower(hex(randomblob(16))));

INSERT INTO alembic_version (version_num) VALUES ('0020');

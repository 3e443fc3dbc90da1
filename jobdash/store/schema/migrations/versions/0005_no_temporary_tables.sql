-- The same conditions without IN, in the stored text of the schema alone: what they mean, and every row and
-- index, stays as it is. See https://www.sqlite.org/lang_altertable.html#otheralter.

UPDATE sqlite_master SET sql = replace(sql,
  '(CASE WHEN removed_at IS NOT NULL THEN -1 WHEN gone_at IS NOT NULL AND ((CASE WHEN verdict = ''force_failed'' THEN ''failed'' WHEN remote_status IN (''cancelled'', ''completed'', ''expired'', ''failed'') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN ''cancelling'' ELSE remote_status END)) IN (''cancelling'', ''finalizing'', ''in_progress'', ''pending'', ''unknown'', ''validating'') THEN 0 ELSE CASE ((CASE WHEN verdict = ''force_failed'' THEN ''failed'' WHEN remote_status IN (''cancelled'', ''completed'', ''expired'', ''failed'') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN ''cancelling'' ELSE remote_status END)) WHEN ''validating'' THEN 1 WHEN ''in_progress'' THEN 1 WHEN ''finalizing'' THEN 1 WHEN ''unknown'' THEN 1 WHEN ''pending'' THEN 2 WHEN ''cancelling'' THEN 3 WHEN ''completed'' THEN 4 WHEN ''failed'' THEN 5 WHEN ''cancelled'' THEN 6 WHEN ''expired'' THEN 7 END END)',
  '(CASE WHEN removed_at IS NOT NULL THEN -1 ELSE CASE ((CASE WHEN verdict = ''force_failed'' THEN ''failed'' WHEN (remote_status = ''cancelled'' OR remote_status = ''completed'' OR remote_status = ''expired'' OR remote_status = ''failed'') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN ''cancelling'' ELSE remote_status END)) WHEN ''cancelled'' THEN 6 WHEN ''completed'' THEN 4 WHEN ''expired'' THEN 7 WHEN ''failed'' THEN 5 ELSE CASE WHEN gone_at IS NOT NULL THEN 0 ELSE CASE ((CASE WHEN verdict = ''force_failed'' THEN ''failed'' WHEN (remote_status = ''cancelled'' OR remote_status = ''completed'' OR remote_status = ''expired'' OR remote_status = ''failed'') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN ''cancelling'' ELSE remote_status END)) WHEN ''cancelling'' THEN 3 WHEN ''finalizing'' THEN 1 WHEN ''in_progress'' THEN 1 WHEN ''pending'' THEN 2 WHEN ''unknown'' THEN 1 WHEN ''validating'' THEN 1 END END END END)'
) WHERE type = 'table' AND name = 'job';

UPDATE sqlite_master SET sql = replace(sql,
  '(CASE WHEN verdict = ''force_failed'' THEN ''failed'' WHEN remote_status IN (''cancelled'', ''completed'', ''expired'', ''failed'') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN ''cancelling'' ELSE remote_status END)',
  '(CASE WHEN verdict = ''force_failed'' THEN ''failed'' WHEN (remote_status = ''cancelled'' OR remote_status = ''completed'' OR remote_status = ''expired'' OR remote_status = ''failed'') THEN remote_status WHEN cancel_requested_at IS NOT NULL THEN ''cancelling'' ELSE remote_status END)'
) WHERE type = 'table' AND name = 'job';

UPDATE sqlite_master SET sql = replace(sql,
  'CONSTRAINT remote_status_known CHECK (remote_status IN (''pending'', ''validating'', ''in_progress'', ''finalizing'', ''cancelling'', ''completed'', ''failed'', ''expired'', ''cancelled'', ''unknown''))',
  'CONSTRAINT remote_status_known CHECK ((remote_status = ''cancelled'' OR remote_status = ''cancelling'' OR remote_status = ''completed'' OR remote_status = ''expired'' OR remote_status = ''failed'' OR remote_status = ''finalizing'' OR remote_status = ''in_progress'' OR remote_status = ''pending'' OR remote_status = ''unknown'' OR remote_status = ''validating''))'
) WHERE type = 'table' AND name = 'job';

UPDATE sqlite_master SET sql = replace(sql,
  'CONSTRAINT kind_known CHECK (kind IN (''submit'', ''upload'', ''cancel'', ''delete'', ''remove''))',
  'CONSTRAINT kind_known CHECK ((kind = ''cancel'' OR kind = ''delete'' OR kind = ''remove'' OR kind = ''submit'' OR kind = ''upload''))'
) WHERE type = 'table' AND name = 'intent';

UPDATE sqlite_master SET sql = replace(sql,
  'CONSTRAINT outcome_known CHECK (outcome IN (''waiting'', ''ok'', ''error'', ''skipped''))',
  'CONSTRAINT outcome_known CHECK ((outcome = ''error'' OR outcome = ''ok'' OR outcome = ''skipped'' OR outcome = ''waiting''))'
) WHERE type = 'table' AND name = 'item';

UPDATE sqlite_master SET sql = replace(sql,
  'remote_status NOT IN (''cancelled'', ''completed'', ''expired'', ''failed'')',
  'remote_status <> ''cancelled'' AND remote_status <> ''completed'' AND remote_status <> ''expired'' AND remote_status <> ''failed'''
) WHERE type = 'index' AND name = 'job_unfinished';

-- A file by hand may be of several agencies, and is measured against each.

alter table feed_run add column of_agencies jsonb;
comment on column feed_run.of_agencies is
    'Of a file by hand: what it changed of each agency, or would have. By the agency''s name releases, changes, listed and notifications.';
comment on column held_run.population is
    'How many its agencies had in custody; where it is of several, so many that the share of which it has news is that of the agency of which it has most.';

-- A file by hand may be of several agencies, and is measured against each.

alter table feed_run add column of_agencies jsonb;
comment on column feed_run.of_agencies is
    'Of a file by hand: what it changed of each agency, or would have. By the agency''s name releases, changes, listed and notifications.';
comment on column held_run.population is
    'How many its agencies had in custody; where it is of several, so many that the share of which it has news is that of the agency of which it has most.';
comment on column held_change.kind is
    'Of the event; amended: a corrected time or facility; renamed, replaced: the number''s person has another name, or is somebody else.';
comment on column feed_run.changes is
    'All that it changed, or would, without the people and the court dates that were listed for the first time.';

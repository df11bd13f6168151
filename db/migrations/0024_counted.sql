-- Who, or which court date, is listed for the first time is counted in pieces, too.

alter table feed_run add column listed integer not null default 0;
update feed_run set listed = events - changes where events > changes;
comment on column feed_run.listed is
    'Of its events, or what would be: the people and the court dates that were listed for the first time.';

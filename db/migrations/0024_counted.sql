-- Who, or which court date, is listed for the first time is counted in pieces, too; so are numbers that are somebody else.

alter table feed_run
    add column listed   integer not null default 0,
    add column replaced integer not null default 0;
update feed_run set listed = events - changes where events > changes;
comment on column feed_run.listed is
    'Of its events, or what would be: the people and the court dates that were listed for the first time.';
comment on column feed_run.replaced is 'How many numbers became somebody else by it.';

alter table held_run add column decided_at timestamptz;
comment on column held_run.decided_at is 'When a person decided of it last. Empty: nobody has yet.';

-- What comes in pieces counts as a whole, and what a person has rejected is remembered.

create index feed_run_by_time on feed_run (feed, started_at);

create table held_change (
    feed_run_id bigint      not null references feed_run,
    agency      text        not null,
    number      text        not null,
    kind        text        not null,
    status      text        not null,
    at          timestamptz,
    facility    text        not null,
    rejected_at timestamptz
);
comment on table held_change is 'What a run would have changed when it was held, by offender.';
comment on column held_change.kind is 'Of the event; amended: a corrected time or facility.';
comment on column held_change.status is 'Empty: it is of a court date.';
comment on column held_change.rejected_at is 'When a person said that it shall not take effect: a row that says so again is no news.';
create index held_change_of_run on held_change (feed_run_id);
create index held_change_rejected on held_change (agency) where rejected_at is not null;

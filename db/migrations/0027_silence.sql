-- What is known of a feed that is silent, and whether news of somebody is held.

alter table feed_watch
    add column ahead_run bigint references feed_run,
    add column seen_at   timestamptz;
comment on column feed_watch.ahead_run is 'The last run that was seen to be of a time to come: the clock was ahead when it was imported. Empty: none was.';
comment on column feed_watch.seen_at is 'When that was seen: it, and each run before it, had come by then.';

-- Of a large run that is held, whether it has news of somebody would else be a second's work.
create index held_change_of on held_change (agency, number);

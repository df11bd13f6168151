-- A file that came while this machine's clock was ahead does not hide that its feed is silent.

alter table feed_watch
    add column ahead_run bigint references feed_run,
    add column seen_at   timestamptz;
comment on column feed_watch.ahead_run is 'The last run that was seen to be of a time to come: the clock was ahead when it was imported. Empty: none was.';
comment on column feed_watch.seen_at is 'When that was seen: it, and each run before it, had come by then.';

-- What a feed's files of the last hour changed counts as one.

create index feed_run_by_time on feed_run (feed, started_at);

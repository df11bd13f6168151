-- Which feed a file came by, and the rows that were put aside instead of refusing the whole of it.

alter table feed_run
    add column feed      text    not null default '',
    add column put_aside integer not null default 0;
comment on column feed_run.feed is 'AGENCY/NAME, as the settings declare it. Empty: a custody file by hand.';
comment on column feed_run.put_aside is 'How many of its rows were not believed; they are in feed_row_aside.';

create table feed_row_aside (
    feed_run_id bigint  not null references feed_run,
    row         integer not null,
    mistakes    text[]  not null,
    given       jsonb   not null,
    primary key (feed_run_id, row)
);
comment on table feed_row_aside is 'A row that was put aside, and why. Nothing of it took effect.';
comment on column feed_row_aside.row is 'Which row of the file, as a spreadsheet counts them; of NIEM, which message.';
comment on column feed_row_aside.given is 'What stood in the fields that are read, by our names.';

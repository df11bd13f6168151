-- Who is missing in a snapshot; runs that change too much and are held; what was told and is withdrawn.

alter table offender drop constraint offender_status_check;
alter table offender add constraint offender_status_check check (
    status in ('in custody', 'released', 'escaped', 'on furlough', 'deceased', 'no longer listed'));
comment on column offender.status is
    'in custody: held at the facility. released: let go from it. escaped: gone without leave. on furlough: out for a time with leave, work release too. deceased: has died. no longer listed: missing in the jail''s snapshots, and nobody said why.';
insert into event_kind (kind, class, meaning, about) values
    ('no_longer_listed', 'critical', 'missing in two snapshots running; nobody said why', 'custody'),
    ('listed_again',     'routine',  'in a snapshot again after being missing',           'custody');

create table roster (
    feed          text        not null,
    offender_id   bigint      not null references offender,
    missing_since timestamptz,
    primary key (feed, offender_id)
);
comment on table roster is 'Who stands, or stood until lately, in the snapshots of a feed. Who is missing in two running leaves it.';
comment on column roster.missing_since is 'Empty: the last snapshot has them. Else when the last one came that had them: the one after it had not.';
create index roster_of_offender on roster (offender_id);
create index feed_run_of_feed on feed_run (feed, id);

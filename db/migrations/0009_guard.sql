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

alter table feed_run drop constraint feed_run_outcome_check;
alter table feed_run add constraint feed_run_outcome_check check (
    outcome in ('applied', 'refused', 'held', 'rejected', 'overtaken'));
alter table feed_run
    add column releases integer not null default 0,
    add column changes  integer not null default 0;
comment on column feed_run.outcome is
    'applied: it took effect (perhaps changing nothing). refused: it had mistakes and nothing of it took effect. held: it changes too much, and nothing of it takes effect until a person decides. rejected: a person said that it shall not. overtaken: while it was held, a newer snapshot came, or the same file again.';
comment on column feed_run.releases is 'Of its events, or what would be: those by which somebody is out of custody.';
comment on column feed_run.changes is 'All that it changed, or would, without those who were listed for the first time.';

create table held_run (
    feed_run_id bigint      primary key references feed_run,
    content     bytea       not null,
    because     text[]      not null,
    since       timestamptz not null,
    touched     integer     not null,
    population  integer     not null,
    reported_at timestamptz
);
comment on table held_run is 'A run that is or was held, with its file as it came, so that it can take effect later.';
comment on column held_run.because is 'A sentence for each limit that it exceeds.';
comment on column held_run.since is 'Since when a person is waited for: when it was held, or a run that it has overtaken.';
comment on column held_run.touched is 'About how many offenders it says something new, those who are missing included.';
comment on column held_run.population is 'How many its agencies had in custody.';
comment on column held_run.reported_at is 'When, without an answer, what it says outright of releases and escapes went out.';

create table held_news (
    feed_run_id bigint not null references held_run,
    agency      text   not null,
    facility    text   not null,
    primary key (agency, facility, feed_run_id)
);
comment on table held_news is 'Of which facilities a held run has news: who asks about somebody there is told that it is being checked.';

alter table custody_event add column reported boolean not null default false;
comment on column custody_event.reported is 'It went out of a run that is held, and is told as reported and not yet confirmed.';

alter table custody_event
    add column retracted_at timestamptz,
    add column corrected_at timestamptz;
comment on column custody_event.retracted_at is 'When a person withdrew it: it never happened. It is kept, so that a file that says it again is no news.';
comment on column custody_event.corrected_at is 'When it was seen to that all who were called of it are told so.';
create index custody_event_withdrawn on custody_event (offender_id) where retracted_at is not null;
create index custody_event_of_run on custody_event (feed_run_id);

-- What a withdrawn event superseded before it was heard is to be told after all.
drop trigger stays_ended on notification;
create trigger stays_ended before update on notification for each row
    when (old.state <> 'open' and not (old.state = 'superseded' and new.state = 'open')) execute function stays_ended();

create view happened as
    select * from custody_event where planned_at is null and retracted_at is null and kind <> 'corrected';
comment on view happened is
    'What happened to offenders: neither what is only planned, nor what was withdrawn, nor that people were told so.';

create view heard as
    select n.id as notification_id, n.event_id, r.id as registration_id, r.registrant_id, r.offender_id
    from notification n join registration r on r.id = n.registration_id
    where n.state in ('confirmed', 'closed') or exists (
        select from notification m
        join attempt_carries c on c.notification_id = m.id join call_attempt a on a.id = c.attempt_id
        where m.registration_id = n.registration_id and a.answered_at is not null
          and (m.id = n.id or (n.state = 'superseded' and a.answered_at >= n.ended_at)));
comment on view heard is
    'Of whose notifications somebody heard, or may have: the telephone was picked up for it, by whomever, or it was confirmed, or staff told them. What was superseded unheard is told, as history, in the next call of the same registration.';
create index notification_of_event on notification (event_id);

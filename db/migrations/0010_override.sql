-- The silence of feeds, what staff say of an offender, and what is forgotten.

-- Alerts that are told again while they last, and those that are over once they are told.
alter table alert
    add column again_every     interval,
    add column over_when_told  boolean not null default false;
comment on column alert.again_every is 'While it is not over it is told again, so long after it was told last. Empty: it is told once.';
comment on column alert.over_when_told is 'It is good to know and nothing to be done: told, it is over.';
create index alert_again on alert (told_at) where over_at is null and again_every is not null;

alter table feed_run add column agencies text[] not null default '{}';
comment on column feed_run.agencies is 'Of a custody file by hand: whose rows it held. What came by a feed is of the feed''s agency.';
create index if not exists feed_run_of_feed on feed_run (feed, id);

create table feed_watch (
    feed         text        primary key,
    since        timestamptz not null,
    silent_since timestamptz
);
comment on table feed_watch is 'The feeds whose files are waited for: AGENCY/NAME of the settings; AGENCY where its files are imported by hand.';
comment on column feed_watch.since is 'Since when it is waited for: a feed that never came is late, too.';
comment on column feed_watch.silent_since is 'When it came last, while staff are told that it is silent. Empty: it is not.';

-- What staff say of an offender is an event like any other, of no feed run.
alter table custody_event alter feed_run_id drop not null, add column who text;
comment on column custody_event.feed_run_id is 'The import that brought it. Empty: no import did.';
comment on column custody_event.who is 'The person of the service who said it, where source is staff.';

-- What staff did stays, whatever is forgotten of those to whom they did it. Where the superuser has prepared the database
-- (db/superuser.sql), the table is not the service's from here on; else only these triggers are in the way.
alter table staff_act drop constraint staff_act_registrant_id_fkey;
comment on column staff_act.registrant_id is 'To whom; they may be forgotten by now.';
comment on table staff_act is 'What a person of the service did by the command line. Rows are added, and never changed or removed.';
create trigger only_added_to before truncate on staff_act for each statement execute function only_added();
create index staff_act_by_time on staff_act (at);
do $$ begin
    if to_regproc('hand_over_acts') is not null then
        perform hand_over_acts();
    end if;
end $$;

-- Registrations that end by themselves, and what is forgotten.
insert into event_kind (kind, class, meaning, about) values
    ('registration_ending', 'routine', 'out of custody for long, with no court date: the last call before a registration ends', 'custody');

create function is_over(o offender, at timestamptz) returns boolean stable language sql as $$
    select o.status in ('released', 'deceased') and (o.court_at is null or o.court_at <= at) and not exists (
        select from court_event_of join court_event c on c.id = court_event_id
        where offender_id = o.id and state = 'scheduled' and planned_at > at)
$$;
comment on function is_over is 'Whether an offender was let go, or has died, and no court date is to come. Who escaped, is on furlough, or is only not listed any more, is none of these.';

create index custody_event_ending on custody_event (id) where kind = 'registration_ending';
create index if not exists notification_of_event on notification (event_id);
create index registration_ended on registration (ended_at) where ended_at is not null;
create index if not exists attempts_of_telephone on call_attempt (telephone_id);
create index proof_of_telephone on proof (telephone_id);
create index refusal_of_telephone on refusal (telephone_id);
create index alert_over on alert (over_at) where over_at is not null;

alter table refusal alter telephone_id drop not null,
    drop constraint refusal_telephone_id_fkey,
    add constraint refusal_telephone_id_fkey foreign key (telephone_id) references telephone on delete set null;
comment on column refusal.telephone_id is 'Empty: it was forgotten since; the number stays barred until staff lift it.';

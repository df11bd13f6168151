-- Everything the service knows. Times are timestamptz; which moment "now" is, is always said by the query, never by the
-- database's clock, so that tests can pass time in.

create table feed_run (
    id          bigint generated always as identity primary key,
    file        text        not null,
    sha256      text        not null,
    started_at  timestamptz not null,
    outcome     text        not null check (outcome in ('applied', 'refused')),
    rows        integer     not null,
    events      integer     not null,
    notifications integer   not null
);
comment on table feed_run is 'One import of a file.';
comment on column feed_run.outcome is
    'applied: the whole file took effect (perhaps changing nothing). refused: it had mistakes and nothing of it took effect.';

create table offender (
    id          bigint generated always as identity primary key,
    agency      text        not null,
    number      text        not null,
    keys        text        generated always as (
        translate(regexp_replace(upper(number), '[^A-Z0-9]', '', 'g'),
                  'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '22233344455566677778889999')) stored,
    first_name  text        not null,
    middle_name text        not null default '',
    last_name   text        not null,
    birth_date  date,
    status      text        not null check (status in ('in custody', 'released', 'escaped', 'on furlough', 'deceased')),
    facility    text        not null,
    since       timestamptz not null,
    known_at    timestamptz not null,
    unique (agency, number)
);
comment on table offender is 'A person in the custody of an agency, known by the agency''s number, and the latest that is known.';
comment on column offender.keys is 'The number as it is keyed on a telephone: letters on their keys, punctuation left out.';
comment on column offender.status is
    'in custody: held at the facility. released: let go from it. escaped: gone without leave. on furlough: out for a time with leave, work release too. deceased: has died.';
comment on column offender.since is 'Since when the status and facility hold, as the agency says.';
comment on column offender.known_at is 'When the agency last told us.';
create index offender_by_keys on offender (keys);

create table event_kind (
    kind    text primary key,
    class   text not null check (class in ('critical', 'routine', 'untold')),
    meaning text not null
);
comment on table event_kind is 'What can happen to an offender. A kind is spoken with the prompt news_KIND.';
comment on column event_kind.class is
    'critical: someone may be in danger now. routine: good to know. untold: kept as history, nobody is called.';
insert into event_kind values
    ('listed',      'untold',   'the first that we heard of the person'),
    ('released',    'critical', 'let go'),
    ('escaped',     'critical', 'gone without leave'),
    ('returned',    'critical', 'taken into custody again'),
    ('died',        'critical', 'died'),
    ('transferred', 'routine',  'moved to another facility'),
    ('furloughed',  'routine',  'out for a time with leave, for work too');

create table custody_event (
    id           bigint generated always as identity primary key,
    offender_id  bigint      not null references offender,
    kind         text        not null references event_kind,
    status       text        not null,
    facility     text        not null,
    effective_at timestamptz not null,
    stated_times timestamptz[] not null,
    source       text        not null,
    source_key   text        not null,
    feed_run_id  bigint      not null references feed_run,
    recorded_at  timestamptz not null,
    unique (source, source_key),
    check (effective_at = any (stated_times))
);
comment on table custody_event is 'Something that happened to an offender. It is never removed, and only its time and facility are ever corrected.';
comment on column custody_event.source_key is 'The source''s own event id; else number, kind and the time first stated.';
comment on column custody_event.stated_times is 'Every time that was ever given for it: a row that states one of them is no news.';
create index custody_event_of_offender on custody_event (offender_id, effective_at);

create table registrant (
    id         bigint generated always as identity primary key,
    language   text        not null,
    pin_hash   bytea       not null,
    pin_key_id text        not null,
    created_at timestamptz not null
);
comment on table registrant is 'Someone who asked to be called, known by a telephone and a PIN and by nothing else.';
comment on column registrant.pin_hash is 'HMAC-SHA256 over key id, registrant and PIN, with a key that is not in the database.';

create table telephone (
    id            bigint generated always as identity primary key,
    registrant_id bigint   not null references registrant,
    place         smallint not null default 1 check (place > 0),
    number_hash   bytea    not null,
    number_cipher bytea    not null,
    key_id        text     not null,
    unique (registrant_id, number_hash),
    unique (registrant_id, place)
);
comment on table telephone is 'Where a registrant is called, in order of place. Two registrants may share a number; their PINs tell them apart.';
comment on column telephone.number_hash is 'HMAC-SHA256 of the ten digits: finds the number, does not give it away.';
comment on column telephone.number_cipher is 'The ten digits, AES-256-GCM: nonce, then ciphertext and tag.';
create index telephone_by_hash on telephone (number_hash);

create table registration (
    id            bigint generated always as identity primary key,
    registrant_id bigint      not null references registrant,
    offender_id   bigint      not null references offender,
    created_at    timestamptz not null,
    ended_at      timestamptz
);
comment on table registration is 'A registrant''s wish to be told of an offender''s custody. It lives until ended_at.';
create unique index registration_once on registration (registrant_id, offender_id) where ended_at is null;
create index registration_of_offender on registration (offender_id) where ended_at is null;

create table notification (
    id              bigint generated always as identity primary key,
    registration_id bigint      not null references registration,
    event_id        bigint      not null references custody_event,
    state           text        not null default 'open'
        check (state in ('open', 'confirmed', 'closed', 'superseded', 'retracted', 'registration ended')),
    created_at      timestamptz not null,
    give_up_at      timestamptz not null,
    next_call_at    timestamptz,
    next_place      smallint    not null default 1,
    handed_over_at  timestamptz,
    ended_at        timestamptz,
    constraint an_event_once_per_registration unique (registration_id, event_id),
    constraint ended_has_its_time check ((state = 'open') = (ended_at is null)),
    constraint open_is_called_or_handed_over check (
        (state = 'open' and (next_call_at is null) = (handed_over_at is not null)) or (state <> 'open' and next_call_at is null))
);
comment on table notification is 'The duty to tell one registrant of one event.';
comment on column notification.state is
    'open: not yet done. confirmed: the registrant''s PIN was entered and the essential sentence was heard. closed: staff told the registrant. superseded: a newer open notification of the same registration says more. retracted: the event was withdrawn. registration ended: the registrant no longer wants it.';
comment on column notification.next_call_at is 'When it is next due to be called. Empty once it has ended or was handed to staff.';
comment on column notification.next_place is 'Which of the registrant''s telephones is next.';
comment on column notification.handed_over_at is 'When the time for calling was up and staff took over; not an end.';
create index notification_due on notification (next_call_at) where next_call_at is not null;
create index notification_open on notification (registration_id) where state = 'open';

create table call_attempt (
    id           bigint generated always as identity primary key,
    telephone_id bigint      not null references telephone,
    number_hash  bytea       not null,
    host         text        not null,
    state        text        not null default 'claimed' check (state in ('claimed', 'dialling', 'answered', 'ended')),
    outcome      text        check (outcome in
        ('confirmed', 'not confirmed', 'machine', 'busy', 'no answer', 'congestion', 'failed', 'lost')),
    cause        text        not null default '',
    lost_because text,
    claimed_at   timestamptz not null,
    dialled_at   timestamptz,
    answered_at  timestamptz,
    confirmed_at timestamptz,
    ended_at     timestamptz,
    deadline     timestamptz not null,
    constraint ended_has_outcome_and_time check (
        (state = 'ended') = (outcome is not null) and (state = 'ended') = (ended_at is not null))
);
comment on table call_attempt is 'One try to reach one telephone, carrying everything that waits for whoever is registered there.';
comment on column call_attempt.state is
    'claimed: a dialer has taken it and hands it to Asterisk. dialling: its telephone is being rung. answered: somebody or something picked up. ended: over, with an outcome.';
comment on column call_attempt.outcome is
    'confirmed: a right PIN. not confirmed: answered, no right PIN. machine: an answering machine. busy, no answer, congestion: as the network said. failed: refused, or no such number. lost: it vanished on our side.';
comment on column call_attempt.cause is 'What the network said in its own words, as in SIP 486 Busy Here.';
comment on column call_attempt.lost_because is
    'Why the conversation broke off on our side. Somebody still hears an apology then, so only when that call is over does the attempt end, as lost and not as "not confirmed", and the telephone is free to be called again.';
comment on column call_attempt.deadline is 'An attempt that has not ended by then is lost: first the time to begin dialling, then the longest call.';
create unique index one_live_attempt_per_telephone on call_attempt (number_hash) where state <> 'ended';
create index call_attempt_live on call_attempt (deadline) where state <> 'ended';

create table attempt_carries (
    attempt_id      bigint not null references call_attempt,
    notification_id bigint not null references notification,
    primary key (attempt_id, notification_id)
);
comment on table attempt_carries is 'Which notifications a call attempt carried.';
create index attempts_of_notification on attempt_carries (notification_id);

create function stays_ended() returns trigger language plpgsql as $$
begin
    raise exception '% % has ended and stays so', tg_table_name, old.id using errcode = 'check_violation';
end $$;
create trigger stays_ended before update on notification
    for each row when (old.state <> 'open') execute function stays_ended();
create trigger stays_ended before update on call_attempt
    for each row when (old.state = 'ended') execute function stays_ended();

create function wake_dialers() returns trigger language plpgsql as $$
begin
    notify movans_due;
    return null;
end $$;
create trigger wake_dialers after insert or update of next_call_at on notification
    for each statement execute function wake_dialers();
create trigger wake_dialers_for_a_free_line after update of state on call_attempt
    for each row when (new.state = 'ended') execute function wake_dialers();

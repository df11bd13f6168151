-- Notification policy, outcomes in full, and what a person must be told at once.

alter table event_kind add column about text not null default 'custody' check (about in ('custody', 'court'));
comment on column event_kind.about is 'Whom it is for: those who want custody notices, or those who want court notices.';
insert into event_kind (kind, class, meaning, about) values
    ('corrected',            'critical', 'what was told before was wrong',                    'custody'),
    ('release_planned',      'routine',  'advance notice: a release comes near',              'custody'),
    ('release_date_changed', 'routine',  'the day of the planned release is another one',     'custody'),
    ('parole_hearing',       'routine',  'a hearing on parole was set',                       'custody'),
    ('court_scheduled',      'routine',  'a court date was set',                              'court'),
    ('court_moved',          'routine',  'a court date has another time or place',            'court'),
    ('court_cancelled',      'routine',  'a court date will not be held',                     'court');

alter table custody_event add column planned_at timestamptz, add column place text not null default '';
alter table custody_event add constraint planned_has_its_time check (planned_at is not null or kind not in (
    'release_planned', 'release_date_changed', 'parole_hearing', 'court_scheduled', 'court_moved', 'court_cancelled'));
comment on column custody_event.planned_at is 'The time that it is about, where that is to come: of the release, hearing or court date.';
comment on column custody_event.place is 'Where that will be: the court. Empty: not known.';

alter table registration
    add column custody boolean not null default true,
    add column court   boolean not null default false,
    add column about   text    generated always as (
        case when custody and court then 'both' when court then 'court' else 'custody' end) stored,
    add constraint wants_something check (custody or court);
comment on column registration.custody is 'Whether its registrant wants custody notices.';
comment on column registration.court is 'Whether its registrant wants court notices.';
comment on column registration.about is 'The same in one word, for people.';

alter table notification add column priority smallint not null default 1 check (priority > 0);
comment on column notification.priority is 'Of what waits, the lowest number is called first.';
update notification n set priority = case class when 'critical' then 1 else 2 end
    from custody_event e join event_kind using (kind) where e.id = n.event_id and n.state = 'open';

alter table call_attempt
    add column trunk       text     not null default '',
    add column sip_code    smallint,
    add column answered_by text     check (answered_by in ('person', 'machine', 'unknown')),
    add column wrong_pins  smallint not null default 0,
    add column heard_until timestamptz;
comment on column call_attempt.trunk is 'By which trunk of the settings it was made. Empty: to the test phone.';
comment on column call_attempt.sip_code is 'The network''s last answer (RFC 3261), as 486.';
comment on column call_attempt.answered_by is 'What picked up, as it seemed. person: pressed a key. machine: talked on while it was spoken to. unknown: neither. It decides what is said, and the outcome where no PIN came.';
comment on column call_attempt.heard_until is 'Until when who or what answered was spoken to: the end of our last words, or their hanging up.';

create table alert (
    id        bigint generated always as identity primary key,
    key       text        not null,
    says      text        not null,
    raised_at timestamptz not null,
    told_at   timestamptz,
    over_at   timestamptz
);
comment on table alert is 'Something that a person must know now. It is a row first; the alarm part runs the alert command of the settings for it until that succeeds.';
comment on column alert.key is 'What it is about: while it is not over, the same is not raised again.';
comment on column alert.says is 'One sentence for people, without telephone numbers.';
create unique index alert_once on alert (key) where over_at is null;
create index alert_untold on alert (raised_at) where told_at is null;

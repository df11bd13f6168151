-- What the policy says of a notification is kept in it when it is made.

alter table notification
    add column called_as     text references event_kind,
    add column first_call_at timestamptz,
    add column staff_at      timestamptz;
update notification n set called_as = kind, first_call_at = created_at
    from custody_event e where e.id = n.event_id and n.state = 'open';
alter table notification add constraint open_has_its_policy check (
    state <> 'open' or (called_as is not null and first_call_at is not null));
comment on column notification.called_as is
    'The kind of event by whose policy it is called: its own, or that of something more urgent that it superseded.';
comment on column notification.first_call_at is 'When it was first due to be called: the phases of its policy are counted from then.';
comment on column notification.staff_at is 'From when staff are told of it while calls go on. Empty: not before it is handed over.';
create index notification_for_staff on notification (staff_at) where state = 'open' and staff_at is not null;

-- A certificate that somebody staged and a login has proven stays in force whatever the metadata names.
alter table saml.certificate drop constraint certificate_state;
alter table saml.certificate add constraint certificate_state check (state in ('ACTIVE', 'STAGED', 'PINNED', 'RETIRED'));

-- The worker reads connections whole, and tells the administrators when a certificate runs out.
grant select on saml.domain, saml.rule to maristan_worker;
grant select on identity.identity, identity.membership to maristan_worker;

-- What a value may be, whoever writes it.
alter table saml.connection add constraint connection_vendor check (vendor in ('entra', 'okta', 'google', 'ping', 'adfs', 'generic'));
alter table saml.attempt add constraint attempt_result check (result in ('SIGNED_IN', 'TESTED', 'STEPPED_UP', 'REFUSED'));
alter table saml.attempt add constraint attempt_reason check ((result = 'REFUSED') = (reason is not null));
